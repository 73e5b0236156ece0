"""Control of what GitHub holds."""

from dataclasses import asdict
from typing import cast

from aiohttp import web

from sandbox.answers import json_answer
from sandbox.control.reading import read_object
from sandbox.github.state import Email
from sandbox.world import WORLD

_PERSON = frozenset({"id", "login", "name", "email", "emails", "orgs"})


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


async def revoke_tokens(request: web.Request) -> web.Response:
    """Make GitHub forget every token it gave out."""
    request.app[WORLD].github.tokens.clear()
    return web.Response(status=204)


def _email(item: object, *, first: bool) -> Email:
    if isinstance(item, dict):
        return Email(**item)
    return Email(email=str(item), primary=first)
