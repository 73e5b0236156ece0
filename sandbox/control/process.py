"""Control of the process: faults, state, reset, and what was asked."""

from dataclasses import asdict

from aiohttp import web

from sandbox.answers import json_answer
from sandbox.control.reading import read_json
from sandbox.faults import fault_from_json
from sandbox.nango import clock, shapes
from sandbox.world import WORLD, World


async def health(request: web.Request) -> web.Response:  # noqa: ARG001
    """Say that the process is up."""
    return json_answer({"status": "UP"})


async def order_faults(request: web.Request) -> web.Response:
    """Add one fault, or several from a list."""
    orders = await read_json(request)
    faults = [fault_from_json(order) for order in (orders if isinstance(orders, list) else [orders])]
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
    return json_answer(
        {
            "github": world.github.as_json(),
            "nango": _nango_as_json(world, origin=str(request.url.origin())),
            "fly": world.fly.as_json(),
        }
    )


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


def _nango_as_json(world: World, *, origin: str) -> dict[str, object]:
    """Give all that Nango holds, secrets as they are.

    Connections go by their id; where two integrations have the same id, the later one goes by
    `integration:id`.
    """
    nango = world.nango
    connections: dict[str, object] = {}
    for connection in nango.connections.values():
        shown = shapes.detailed(connection, credentials=connection.credentials)
        shown |= {"refresh": connection.refresh, "refreshes": connection.refreshes}
        taken = connection.connection_id in connections
        connections[":".join(connection.address) if taken else connection.connection_id] = shown
    return {
        "integrations": {key: integration.as_json(origin=origin) for key, integration in nango.integrations.items()},
        "connections": connections,
        "sessions": {
            session.token: {**asdict(session), "expires_at": clock.zulu(session.expires_at)}
            for session in nango.sessions.values()
        },
    }
