"""The part of GitHub's REST API that tells who signed in.

Source: https://docs.github.com/rest/users/users, /rest/users/emails, /rest/orgs/orgs
"""

import base64
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict

from aiohttp import web
from aiohttp.typedefs import Handler

from sandbox.answers import json_answer
from sandbox.github.state import Organization, Person, Token
from sandbox.world import WORLD

_DOCS = "https://docs.github.com/rest"
_LIMIT = 5000


def not_found() -> web.Response:
    """Answer as GitHub does for what is absent and for what the token may not see."""
    body = {"message": "Not Found", "documentation_url": _DOCS, "status": "404"}
    return json_answer(body, status=404)


def with_token(answer: Callable[[web.Request, Person, Token], web.Response]) -> Handler:
    """Let a request through only with a token that GitHub gave out."""

    async def handler(request: web.Request) -> web.Response:
        if not request.headers.get("User-Agent"):
            text = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header."
            return web.Response(text=text, status=403)
        github = request.app[WORLD].github
        token = github.token(_sent_token(request))
        if token is None:
            anonymous = "Authorization" not in request.headers
            message = "Requires authentication" if anonymous else "Bad credentials"
            body = {"message": message, "documentation_url": _DOCS, "status": "401"}
            return json_answer(body, status=401)
        response = answer(request, github.person(token.login), token)
        response.headers.update(_usual_headers(token))
        return response

    return handler


def _user(request: web.Request, person: Person, token: Token) -> web.Response:  # noqa: ARG001
    web_host = f"{request.url.origin()}/github"
    api = f"{web_host}/api/users/{person.login}"
    node = base64.b64encode(f"04:User{person.id}".encode()).decode()
    return json_answer(
        {
            "login": person.login,
            "id": person.id,
            "node_id": node,
            "avatar_url": f"{web_host}/avatars/u/{person.id}?v=4",
            "gravatar_id": "",
            "url": api,
            "html_url": f"{web_host}/{person.login}",
            "organizations_url": f"{api}/orgs",
            "repos_url": f"{api}/repos",
            "type": "User",
            "user_view_type": "public",
            "site_admin": False,
            "name": person.name,
            "company": None,
            "blog": "",
            "location": None,
            "email": person.email,
            "hireable": None,
            "bio": None,
            "twitter_username": None,
            "public_repos": 0,
            "public_gists": 0,
            "followers": 0,
            "following": 0,
            "created_at": person.created_at,
            "updated_at": person.created_at,
        }
    )


def _emails(request: web.Request, person: Person, token: Token) -> web.Response:  # noqa: ARG001
    if not {"user", "user:email"} & set(token.scopes):
        return not_found()
    return json_answer([asdict(email) for email in person.emails])


def _orgs(request: web.Request, person: Person, token: Token) -> web.Response:
    if not {"user", "read:org", "write:org", "admin:org"} & set(token.scopes):
        return json_answer([])
    web_host = f"{request.url.origin()}/github"
    github = request.app[WORLD].github
    # A page, as with every list.
    size = int(request.query.get("per_page", "30"))
    first = (int(request.query.get("page", "1")) - 1) * size
    shown = person.orgs[first : first + size]
    return json_answer([_org(github.organization(login), web_host=web_host) for login in shown])


def _org(organization: Organization, *, web_host: str) -> dict[str, object]:
    login, number = organization.login, organization.id
    return {
        "login": login,
        "id": number,
        "node_id": base64.b64encode(f"012:Organization{number}".encode()).decode(),
        "url": f"{web_host}/api/orgs/{login}",
        "avatar_url": f"{web_host}/avatars/u/{number}?v=4",
        "description": None,
    }


def _sent_token(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() in ("bearer", "token") else ""


def _usual_headers(token: Token) -> dict[str, str]:
    return {
        "X-OAuth-Scopes": ", ".join(token.scopes),
        "X-GitHub-Media-Type": "github.v3; format=json",
        "X-GitHub-Request-Id": secrets.token_hex(8).upper(),
        "X-RateLimit-Limit": str(_LIMIT),
        "X-RateLimit-Remaining": str(_LIMIT - 1),
        "X-RateLimit-Reset": str(int(time.time()) + 3600),
        "X-RateLimit-Resource": "core",
    }


user = with_token(_user)
emails = with_token(_emails)
orgs = with_token(_orgs)
