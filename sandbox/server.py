"""The application: targets, control, and the middlewares around them."""

import asyncio

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from sandbox.answers import html_answer, json_answer
from sandbox.control import routes as control
from sandbox.control.reading import loopback_only
from sandbox.faults import TARGETS, Fault
from sandbox.fly import routes as fly
from sandbox.fly.errors import usual_failure
from sandbox.github import routes as github
from sandbox.journal import fingerprint
from sandbox.keeping import Keeper
from sandbox.nango import routes as nango
from sandbox.world import WORLD, World


def make_application(world: World, keeper: Keeper | None = None) -> web.Application:
    """Make the application around its state, which the keeper keeps."""
    app = web.Application(
        middlewares=[*([_keeping(keeper)] if keeper else []), record, loopback_only, answer_unmatched, fail_as_ordered],
        client_max_size=80 * 1024 * 1024,
    )
    app[WORLD] = world
    control.add_routes(app)
    github.add_routes(app)
    nango.add_routes(app)
    fly.add_routes(app)
    return app


def _keeping(keeper: Keeper) -> Middleware:
    """Write what a request has changed before its answer goes out; what only looks at the sandbox changes nothing."""

    @web.middleware
    async def keep(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        finally:
            if request.method != "GET" or _split(request.path)[0] is not None:
                keeper.save()

    return keep


@web.middleware
async def record(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Note every request to a target in the journal."""
    target, path = _split(request.path)
    if target is None:
        return await handler(request)
    entry = request.app[WORLD].journal.record(
        target=target,
        method=request.method,
        path=path,
        query=request.query_string,
        headers=request.headers,
    )
    response = await handler(request)
    if request.transport is not None and not request.transport.is_closing():
        entry.status = response.status
        entry.retry_after = response.headers.get("Retry-After")
        if 0 < (request.content_length or 0) <= _LONGEST_BODY:
            entry.body = fingerprint(await request.read())
    entry.faulted = "faulted" in request
    return response


@web.middleware
async def answer_unmatched(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer unknown paths and methods as each target does; only Fly answers 405."""
    try:
        return await handler(request)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as problem:
        target, _ = _split(request.path)
        is_method = isinstance(problem, web.HTTPMethodNotAllowed)
    if target == "github":
        return github.unmatched(request.path)
    if target == "nango":
        return nango.unmatched()
    if target == "fly":
        return fly.unmatched(is_method=is_method)
    return json_answer({"error": "There is nothing at this path."}, status=404)


@web.middleware
async def fail_as_ordered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let an ordered fault delay a request, answer it, or cut its connection."""
    target, path = _split(request.path)
    if target is None:
        return await handler(request)
    paths: tuple[str, ...] = (path,)
    if target == "github":
        paths = (path, path.removeprefix("/api").removeprefix("/v3"))
    fault = request.app[WORLD].faults.take(target=target, method=request.method, paths=paths)
    if fault is None:
        return await handler(request)
    request["faulted"] = True
    if fault.delay:
        await asyncio.sleep(fault.delay)
    if fault.drop == "before":
        return _cut(request)
    if fault.drop is None and fault.answers:
        return _fault_answer(request, fault, path=path)
    try:
        response = await handler(request)
    except web.HTTPException as refusal:
        response = refusal
    return _cut(request) if fault.drop == "after" else response


def _split(path: str) -> tuple[str | None, str]:
    """Split a path into the target and the path below it."""
    _, _, rest = path.partition("/")
    name, _, below = rest.partition("/")
    return (name, f"/{below}") if name in TARGETS else (None, path)


def _cut(request: web.Request) -> web.Response:
    """Abort the connection, so that the client sees it cut instead of an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _fault_answer(request: web.Request, fault: Fault, *, path: str) -> web.Response:
    status = fault.status or 200
    if not fault.has_body:
        return _usual_failure(request, fault, status=status, path=path)
    if not isinstance(fault.body, str):
        return json_answer(fault.body, status=status, headers=fault.headers)
    guessed = "text/html" if fault.body.startswith("<") else "application/json"
    return web.Response(
        body=fault.body.encode(),
        status=status,
        headers={**fault.headers, "Content-Type": fault.content_type or guessed},
    )


def _usual_failure(request: web.Request, fault: Fault, *, status: int, path: str) -> web.Response:
    """Answer with what such a failure usually carries: a proxy's page, or the target's error."""
    if fault.target == "fly":
        return usual_failure(status, headers=fault.headers)
    if status in (502, 503, 504):
        reason = {502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Time-out"}[status]
        text = f"<html><head><title>{status} {reason}</title></head><body>{reason}</body></html>"
        return html_answer(text, status=status, headers=fault.headers)
    if fault.target == "nango":
        return _nango_failure(request, fault, status=status, path=path)
    message = {401: "Bad credentials", 404: "Not Found"}.get(status, "Server Error")
    return json_answer({"message": message}, status=status, headers=fault.headers)


def _nango_failure(request: web.Request, fault: Fault, *, status: int, path: str) -> web.Response:
    error: dict[str, object] = {"code": _NANGO_CODES.get(status, "server_error")}
    headers = dict(fault.headers)
    if status == _NANGO_TOO_MANY:
        error |= {"method": request.method, "path": path}
        headers.setdefault("Retry-After", "30")
    return json_answer({"error": error}, status=status, headers=headers)


_LONGEST_BODY = 65_536
_NANGO_TOO_MANY = 429
_NANGO_CODES = {
    400: "invalid_body",
    401: "unknown_account",
    403: "forbidden",
    404: "not_found",
    424: "invalid_credentials",
    _NANGO_TOO_MANY: "too_many_request",
}
