"""What happens before every route of Fly's APIs: token, body, rate limit, app, in this order."""

import inspect
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from sandbox.fly.errors import FlyError, forbidden, invalid, not_found, stamp, unauthenticated
from sandbox.fly.machine import Machine
from sandbox.fly.state import App, Fly
from sandbox.fly.tokens import LONGEST, ORGANIZATION, ORGANIZATION_TOKEN, Token
from sandbox.world import WORLD

_SCHEMES = ("bearer", "flyv1")


@dataclass(frozen=True)
class Call:
    """A request that may go on. What its path names is looked for once, since a look may count."""

    request: web.Request
    fly: Fly
    token: Token
    body: dict[str, Any]

    @property
    def now(self) -> datetime:
        """Give the time on the stand-in's wall."""
        return self.fly.clock.now()

    @cached_property
    def app(self) -> App:
        """Give the app of the path, as far as the token may see it. Raises FlyError."""
        name = self.request.match_info["app"]
        if self.token.app not in (None, name):
            raise forbidden()
        app = self.fly.apps.get(name)
        if app is None or app.deleting:
            raise not_found("app")
        if app.organization != ORGANIZATION:
            raise forbidden(f"Authorize: not permitted to act on app {name}")
        if is_hidden(self.fly, app):
            raise unauthenticated() if self.fly.knobs.app_lag_status == _UNAUTHORIZED else not_found("app")
        return app

    @cached_property
    def machine(self) -> Machine:
        """Give the machine of the path. Raises FlyError."""
        machine = self.app.machines.get(self.request.match_info["machine"])
        if machine is None or is_hidden(self.fly, machine):
            raise not_found("machine")
        return machine

    def need_organization(self, slug: str) -> None:
        """Refuse deploy tokens, and other organizations than ours. Raises FlyError."""
        if self.token.app is not None or slug != ORGANIZATION:
            raise forbidden("Authorize: not permitted to act on this organization")

    def flag(self, name: str) -> bool:
        """Read a flag of the query."""
        return self.request.query.get(name, "").lower() in ("1", "true")

    def text(self, name: str, default: str = "") -> str:
        """Read a text of the body; null counts as missing. Raises FlyError."""
        value = self.body.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise invalid(f"{name} must be a string")
        return value


Answer = Callable[[Call], web.Response | Awaitable[web.Response]]
_UNAUTHORIZED = 401


def route(answer: Answer, *, action: str) -> Handler:
    """Make a route. `action` names the bucket of its rate limit."""

    async def handler(request: web.Request) -> web.StreamResponse:
        fly = request.app[WORLD].fly
        raw = await request.read()
        fly.clock.settle()
        try:
            token = authenticate(request, fly)
            _count(request, fly, action)
            call = Call(request=request, fly=fly, token=token, body=_read_body(raw))
            given = answer(call)
            response = await given if inspect.isawaitable(given) else given
        except FlyError as refusal:
            response = refusal.answer()
        return stamp(response)

    return handler


def authenticate(request: web.Request, fly: Fly) -> Token:
    """Find out who calls, by `Bearer` or `FlyV1`. Raises FlyError."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    text = text.strip()
    if scheme.lower() not in _SCHEMES:
        raise unauthenticated()
    if text == ORGANIZATION_TOKEN:
        return Token(id="org", expires_at=fly.clock.now() + LONGEST)
    token = fly.tokens.get(text)
    if token is None or token.expires_at <= fly.clock.now():
        raise unauthenticated()
    return token


def is_hidden(fly: Fly, thing: App | Machine) -> bool:
    """Say whether a thing that was just made isn't to be seen yet; counts as one look at it."""
    until = thing.hidden_until
    by_time = until is not None and fly.clock.now() < until
    by_count = thing.hidden_reads > 0
    if by_count:
        thing.hidden_reads -= 1
    return by_time or by_count


def _read_body(raw: bytes) -> dict[str, Any]:
    """Read a JSON object; nothing counts as an empty one. Raises FlyError."""
    if not raw.strip():
        return {}
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise invalid("the body is not valid JSON") from None
    if not isinstance(body, dict):
        raise invalid("the body must be a JSON object")
    return body


def _count(request: web.Request, fly: Fly, action: str) -> None:
    if not fly.knobs.rate_limits:
        return
    names = request.match_info
    thing = names.get("machine") or names.get("app") or names.get("org") or ""
    if not fly.buckets.take(action, thing, now=fly.clock.now().timestamp()):
        raise FlyError(429, "rate limit exceeded", headers={"Retry-After": "1"})
