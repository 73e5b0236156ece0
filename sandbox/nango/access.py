"""What happens before every route of Nango's API: body, key, rate limit, scope, in this order."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from aiohttp import web
from aiohttp.typedefs import Handler

from sandbox.nango.errors import NangoError, unknown_session
from sandbox.nango.state import API_KEY, SESSION_PREFIX, Nango, Session
from sandbox.nango.validation import parse_query
from sandbox.world import WORLD, World

_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)
_DASHBOARD_PREFIX = "/nango"


@dataclass(frozen=True)
class Call:
    """A request that may go on. `session` is there when it came with a session token."""

    request: web.Request
    world: World
    session: Session | None
    query: dict[str, object]
    body: object

    @property
    def nango(self) -> Nango:
        """Give the state of Nango."""
        return self.world.nango

    @property
    def origin(self) -> str:
        """Give the address under which the caller reached the sandbox."""
        return str(self.request.url.origin())

    def has_scope(self, scope: str) -> bool:
        """Say whether the API key covers `scope`."""
        return any(fnmatchcase(scope, granted) for granted in self.world.settings.scopes)

    def need_scope(self, scope: str, *others: str) -> None:
        """Raise 403 when the API key covers neither `scope` nor one of the others that suffice."""
        if not any(map(self.has_scope, (scope, *others))):
            message = f"The API key is missing the scope {scope}"
            raise NangoError(403, "forbidden", message)


Answer = Callable[[Call], web.Response]


def with_key(answer: Answer, *, scope: str | None = None, or_scope: str = "", or_session: bool = False) -> Handler:
    """Make a route for API keys; `or_session` lets the token of a connect session in too."""

    async def handler(request: web.Request) -> web.Response:
        world = request.app[WORLD]
        headers: dict[str, str] = {}
        try:
            body = await _read_body(request)
            session = _authenticate(request, world, or_session=or_session)
            headers = _count(request, world, bucket="session" if session else "account")
            query = parse_query(request.query)
            call = Call(request=request, world=world, session=session, query=query, body=body)
            if scope and session is None:
                call.need_scope(scope, *filter(None, [or_scope]))
            response = answer(call)
        except NangoError as refusal:
            response = refusal.answer()
            headers |= refusal.headers
        response.headers.update(headers)
        return response

    return handler


def with_session(answer: Answer) -> Handler:
    """Make a route for tokens of connect sessions only."""

    async def handler(request: web.Request) -> web.Response:
        world = request.app[WORLD]
        try:
            session = world.nango.session(_bearer(request))
            if session is None:
                raise unknown_session()
            query = parse_query(request.query)
            return answer(Call(request=request, world=world, session=session, query=query, body={}))
        except NangoError as refusal:
            return refusal.answer()

    return handler


def without_key(answer: Answer) -> Handler:
    """Make a route that finds its session in the query."""

    async def handler(request: web.Request) -> web.Response:
        world = request.app[WORLD]
        try:
            body = await _read_body(request)
            query = parse_query(request.query)
            return answer(Call(request=request, world=world, session=None, query=query, body=body))
        except NangoError as refusal:
            return refusal.answer()

    return handler


async def _read_body(request: web.Request) -> object:
    """Read a JSON body; a body without a content type is not looked at and counts as `{}`."""
    kind = request.headers.get("Content-Type")
    if kind is not None and not kind.startswith("application/json"):
        message = "Content-Type must be application/json"
        raise NangoError(415, "invalid_content_type", message)
    raw = await request.read()
    if kind is None or not raw:
        return {}
    try:
        body: object = json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise NangoError(400, "invalid_json", "The body is not valid JSON") from None
    if not isinstance(body, dict | list):
        raise NangoError(400, "invalid_json", "The body is not valid JSON")
    return body


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _bearer(request: web.Request) -> str:
    """Take the key out of the header. The scheme is case-sensitive, and may be missing."""
    header = request.headers.get("Authorization")
    if header is None:
        message = "Authentication failed. The request is missing the Authorization header."
        raise NangoError(401, "missing_auth_header", message)
    key = header.split("Bearer ")[-1]
    if not key or header.strip() == "Bearer":
        raise _malformed_header()
    return key


def _malformed_header() -> NangoError:
    message = "Authentication failed. The Authorization header is malformed."
    return NangoError(401, "malformed_auth_header", message)


def _authenticate(request: web.Request, world: World, *, or_session: bool) -> Session | None:
    key = _bearer(request)
    if world.settings.nango_database_down:
        # The look-up of the key fails, and that is what a real one makes of it.
        raise _malformed_header()
    if or_session and key.startswith(SESSION_PREFIX):
        session = world.nango.session(key)
        if session is None:
            raise unknown_session()
        return session
    if not _UUID4.fullmatch(key):
        message = "Authentication failed. The provided secret key is not a UUID v4."
        raise NangoError(401, "invalid_secret_key_format", message)
    if key.lower() != API_KEY:
        message = "Authentication failed. The provided secret key does not match any account."
        raise NangoError(401, "unknown_account", message)
    return None


def _count(request: web.Request, world: World, *, bucket: str) -> dict[str, str]:
    verdict = world.limiter.count(bucket, limit=world.settings.rate_limit_per_minute)
    if verdict.allowed:
        return verdict.headers
    refusal = NangoError(
        429,
        "too_many_request",
        method=request.method,
        path=request.path.removeprefix(_DASHBOARD_PREFIX),
    )
    refusal.headers = verdict.headers
    raise refusal
