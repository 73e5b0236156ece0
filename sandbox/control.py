"""The control interface: what tests do to the sandbox itself."""

import ipaddress
import json

from aiohttp import web
from aiohttp.typedefs import Handler

from sandbox.answers import json_answer
from sandbox.faults import InvalidFaultError, fault_from_json
from sandbox.world import WORLD

_FLY = ("apps", "machines", "volumes", "ips", "secrets", "tokens")


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


async def read_json(request: web.Request) -> object:
    """Read the body as JSON. Raises ControlError."""
    try:
        return await request.json(loads=json.loads)
    except (json.JSONDecodeError, UnicodeDecodeError):
        sentence = "The body is not JSON."
        raise ControlError(sentence) from None


async def read_object(request: web.Request, *, known: frozenset[str]) -> dict[str, object]:
    """Read the body as a JSON object that has `known` fields only. Raises ControlError."""
    body = await read_json(request)
    if not isinstance(body, dict):
        sentence = "The body is not a JSON object."
        raise ControlError(sentence)
    if unknown := set(body) - known:
        sentence = f"Unknown fields: {', '.join(sorted(unknown))}."
        raise ControlError(sentence)
    return body


async def health(request: web.Request) -> web.Response:  # noqa: ARG001
    """Say that the process is up."""
    return json_answer({"status": "UP"})


async def order_faults(request: web.Request) -> web.Response:
    """Add one fault, or several from a list."""
    orders = await read_json(request)
    faults = [
        fault_from_json(order) for order in (orders if isinstance(orders, list) else [orders])
    ]
    request.app[WORLD].faults.ordered.extend(faults)
    return json_answer({"faults": [fault.as_json() for fault in faults]}, status=201)


async def show_faults(request: web.Request) -> web.Response:
    """List the faults that still hold."""
    ordered = request.app[WORLD].faults.ordered
    return json_answer({"faults": [fault.as_json() for fault in ordered]})


async def clear_faults(request: web.Request) -> web.Response:
    """End all faults."""
    request.app[WORLD].faults.ordered.clear()
    return web.Response(status=204)


async def state(request: web.Request) -> web.Response:
    """Show all that is held, secret values as they were given."""
    world = request.app[WORLD]
    return json_answer({"github": world.github.as_json(), "fly": {name: {} for name in _FLY}})


async def reset(request: web.Request) -> web.Response:
    """Go back to how the process started."""
    request.app[WORLD].reset()
    return web.Response(status=204)


async def show_requests(request: web.Request) -> web.Response:
    """List what the targets were asked, oldest first; `?target=` keeps one of them."""
    wanted = request.query.get("target")
    entries = request.app[WORLD].journal.entries
    kept = [entry.as_json() for entry in entries if wanted in (None, entry.target)]
    return json_answer({"requests": kept})


async def clear_requests(request: web.Request) -> web.Response:
    """Forget what the targets were asked."""
    request.app[WORLD].journal.clear()
    return web.Response(status=204)


def add_routes(app: web.Application) -> None:
    """Mount the control interface."""
    router = app.router
    router.add_get("/_sandbox/health", health)
    router.add_post("/_sandbox/faults", order_faults)
    router.add_get("/_sandbox/faults", show_faults)
    router.add_delete("/_sandbox/faults", clear_faults)
    router.add_get("/_sandbox/state", state)
    router.add_post("/_sandbox/reset", reset)
    router.add_get("/_sandbox/requests", show_requests)
    router.add_delete("/_sandbox/requests", clear_requests)
