"""How control requests are read and refused."""

import ipaddress
import json
from typing import NoReturn

from aiohttp import web
from aiohttp.typedefs import Handler

from sandbox.answers import json_answer
from sandbox.faults import InvalidFaultError


class ControlError(Exception):
    """A control request makes no sense; the message says why."""


@web.middleware
async def loopback_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Keep everybody but this machine away from the control interface."""
    if not request.path.startswith("/_sandbox"):
        return await handler(request)
    try:
        local = ipaddress.ip_address(request.remote or "").is_loopback
    except ValueError:
        local = False
    if not local:
        return json_answer({"error": "Control is for this machine only."}, status=403)
    try:
        return await handler(request)
    except (ControlError, InvalidFaultError) as problem:
        return json_answer({"error": str(problem)}, status=400)
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        sentence = f"A field is missing or has the wrong type: {problem!r}."
        return json_answer({"error": sentence}, status=400)


async def read_json(request: web.Request) -> object:
    """Read the body as JSON. Raises ControlError."""
    try:
        return await request.json(loads=json.loads)
    except (json.JSONDecodeError, UnicodeDecodeError):
        refuse("The body is not JSON.")


async def read_object(request: web.Request, *, known: frozenset[str]) -> dict[str, object]:
    """Read the body as a JSON object that has `known` fields only. Raises ControlError."""
    body = await read_json(request)
    if not isinstance(body, dict):
        refuse("The body is not a JSON object.")
    if unknown := set(body) - known:
        refuse(f"Unknown fields: {', '.join(sorted(unknown))}.")
    return body


def absent() -> web.Response:
    """Answer for a thing that is not there."""
    return json_answer({"error": "There is no such thing."}, status=404)


def refuse(sentence: str) -> NoReturn:
    """Raise ControlError."""
    raise ControlError(sentence)
