"""Organizations at GitHub and who belongs to them.

Source: https://docs.github.com/rest/orgs/orgs, /rest/orgs/members
"""

import base64
from urllib.parse import urlencode

from aiohttp import web

from sandbox.answers import json_answer
from sandbox.github.api import not_found, with_token
from sandbox.github.state import Organization, Person, Token
from sandbox.world import WORLD

_PAGE, _LONGEST_PAGE = 30, 100
_SEES_CONCEALED = frozenset({"read:org", "write:org", "admin:org"})


def _about(request: web.Request, person: Person, token: Token) -> web.Response:  # noqa: ARG001
    organization = request.app[WORLD].github.organizations.get(request.match_info["org"].lower())
    if organization is None or organization.is_gone:
        return not_found()
    if organization.moved_to:
        return _moved(request, organization)
    node = base64.b64encode(f"012:Organization{organization.id}".encode()).decode()
    body = {"login": organization.login, "id": organization.id, "node_id": node, "type": "Organization"}
    return json_answer(body)


def _members(request: web.Request, person: Person, token: Token) -> web.Response:
    github = request.app[WORLD].github
    organization = github.organizations.get(request.match_info["org"].lower())
    if organization is None or organization.is_gone:
        return not_found()
    if organization.moved_to:
        return _moved(request, organization)
    sees_all = _sees_all(organization, person, token)
    people = [each for each in github.members_of(organization) if sees_all or _is_public(each, organization)]
    size = min(_number(request, "per_page", _PAGE), _LONGEST_PAGE)
    page = _number(request, "page", 1)
    answer = json_answer([_short(each) for each in people[(page - 1) * size : page * size]])
    if page * size < len(people):
        following = urlencode({"per_page": size, "page": page + 1})
        answer.headers["Link"] = f'<{request.url.with_query(None)}?{following}>; rel="next"'
    return answer


def _member(request: web.Request, person: Person, token: Token) -> web.Response:
    github = request.app[WORLD].github
    organization = github.organizations.get(request.match_info["org"].lower())
    if organization is None or organization.is_gone:
        return not_found()
    login = request.match_info["login"]
    if not _sees_all(organization, person, token):
        if login.lower() == person.login.lower():
            return not_found()
        public = request.url.with_path(request.url.path.replace("/members/", "/public_members/"))
        return web.Response(status=302, headers={"Location": str(public)})
    found = github.people.get(login.lower())
    if found is None or not _belongs(found, organization):
        return not_found()
    return web.Response(status=204)


def _sees_all(organization: Organization, person: Person, token: Token) -> bool:
    """Members see concealed members, as far as their token's scopes let them."""
    return _belongs(person, organization) and bool(_SEES_CONCEALED & set(token.scopes))


def _belongs(person: Person, organization: Organization) -> bool:
    return organization.login.lower() in [name.lower() for name in person.orgs]


def _is_public(person: Person, organization: Organization) -> bool:
    return organization.login.lower() in [name.lower() for name in person.public_orgs]


def _short(person: Person) -> dict[str, object]:
    node = base64.b64encode(f"04:User{person.id}".encode()).decode()
    return {"login": person.login, "id": person.id, "node_id": node, "type": "User", "site_admin": False}


def _moved(request: web.Request, organization: Organization) -> web.Response:
    rest = request.url.path.partition("/orgs/")[2].partition("/")[2]
    there = request.url.with_path(f"/github/api/organizations/{organization.id}{'/' if rest else ''}{rest}")
    body = {"message": "Moved Permanently", "url": str(there)}
    answer = json_answer(body, status=301)
    answer.headers["Location"] = str(there)
    return answer


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, "")
    return max(1, int(text)) if text.isascii() and text.isdigit() else default


about = with_token(_about)
members = with_token(_members)
member = with_token(_member)
