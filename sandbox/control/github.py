"""Control of what GitHub holds."""

from dataclasses import asdict
from typing import cast

from aiohttp import web

from sandbox.answers import json_answer
from sandbox.control.reading import read_object
from sandbox.github.state import Email
from sandbox.world import WORLD

_PERSON = frozenset({"id", "login", "name", "email", "emails", "orgs", "public_orgs"})
_ORGANIZATION = frozenset({"id", "is_gone", "moved_to", "members"})


async def change_person(request: web.Request) -> web.Response:
    """Change a person at GitHub; `login` renames, `emails` is a list of addresses or objects."""
    sent = await read_object(request, known=_PERSON)
    github = request.app[WORLD].github
    person = github.person(request.match_info["login"])
    if "emails" in sent:
        emails = cast("list[object]", sent.pop("emails"))
        person.emails = [_email(item, first=i == 0) for i, item in enumerate(emails)]
    if "login" in sent:
        github.rename(person, str(sent.pop("login")))
    for name, value in sent.items():
        setattr(person, name, value)
    return json_answer(asdict(person))


async def change_organization(request: web.Request) -> web.Response:
    """Change an organization; `members` are the logins of all its members, new ones among them."""
    sent = await read_object(request, known=_ORGANIZATION)
    github = request.app[WORLD].github
    organization = github.organization(request.match_info["login"])
    if "members" in sent:
        inside = {str(login).lower() for login in cast("list[object]", sent.pop("members"))}
        for login in inside:
            github.person(login)
        for login, person in github.people.items():
            others = [name for name in person.orgs if name.lower() != organization.login.lower()]
            person.orgs = [*others, organization.login] if login in inside else others
    for name, value in sent.items():
        setattr(organization, name, value)
    return json_answer(asdict(organization))


async def change_org_token(request: web.Request) -> web.Response:
    """Change what the server's own token may see (`scopes`), or revoke it (`revoked`)."""
    sent = await read_object(request, known=frozenset({"scopes", "revoked"}))
    github = request.app[WORLD].github
    if github.org_token is not None and "scopes" in sent:
        github.org_token.scopes = tuple(cast("list[str]", sent["scopes"]))
    if sent.get("revoked"):
        github.org_token = None
    return json_answer(github.org_token and asdict(github.org_token))


async def revoke_tokens(request: web.Request) -> web.Response:
    """Make GitHub forget every token it gave out."""
    request.app[WORLD].github.tokens.clear()
    return web.Response(status=204)


def _email(item: object, *, first: bool) -> Email:
    if isinstance(item, dict):
        return Email(**item)
    return Email(email=str(item), primary=first)
