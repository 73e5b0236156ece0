"""Control of what Fly holds: its time, its room, and what happens behind everybody's back."""

from dataclasses import asdict, fields
from typing import Any, cast

from aiohttp import web

from sandbox.answers import json_answer
from sandbox.control.reading import absent, read_object, refuse
from sandbox.fly import apps
from sandbox.fly.knobs import Knobs
from sandbox.fly.lifecycle import Lifecycle
from sandbox.fly.logs import LogLine, append
from sandbox.fly.machine import Machine
from sandbox.fly.regions import DEFAULT, REGIONS
from sandbox.fly.state import App, Behaviour, Fly
from sandbox.fly.tokens import ORGANIZATION
from sandbox.fly.workflows import Workflow
from sandbox.world import WORLD

_ROOM = frozenset({"machines", "volumes", "quota_mb"})
_LINE = frozenset({"message", "level", "instance", "region", "provider"})
_MACHINE = frozenset({"exit_code", "oom_killed", "checks", "host_status", "state", "released"})
_HOSTS = ("ok", "unknown", "unreachable")


async def show_settings(request: web.Request) -> web.Response:
    """Show all knobs."""
    return json_answer(asdict(_fly(request).knobs))


async def change_settings(request: web.Request) -> web.Response:
    """Turn the knobs that are sent; show all of them."""
    usual = {field.name: getattr(Knobs(), field.name) for field in fields(Knobs)}
    sent = await read_object(request, known=frozenset(usual))
    for name, value in sent.items():
        kinds = (int, float) if isinstance(usual[name], float) else (type(usual[name]),)
        mixed_up = isinstance(value, bool) and not isinstance(usual[name], bool)
        if not isinstance(value, kinds) or mixed_up or (isinstance(value, int | float) and value < 0):
            refuse(f"{name} has the wrong type or value.")
    if sent.get("app_lag_status", 404) not in (401, 404):
        refuse("app_lag_status is 401 or 404.")
    if sent.get("duplicate_ip_status", 422) not in (409, 422):
        refuse("duplicate_ip_status is 409 or 422.")
    knobs = _fly(request).knobs
    for name, value in sent.items():
        setattr(knobs, name, value)
    return json_answer(asdict(knobs))


async def turn_clock(request: web.Request) -> web.Response:
    """Change the pace, or skip time: `{"factor"?, "advance"?}`, seconds."""
    sent = await read_object(request, known=frozenset({"factor", "advance"}))
    clock = _fly(request).clock
    factor = None if sent.get("factor") is None else _number(sent, "factor")
    clock.turn(factor=factor, advance=_number(sent, "advance"))
    return json_answer({"factor": clock.factor})


async def change_region(request: web.Request) -> web.Response:
    """Say how much a region takes: `{"machines"?, "volumes"?, "quota_mb"?}`; null is no limit."""
    sent = await read_object(request, known=_ROOM)
    code = request.match_info["region"]
    if code not in REGIONS:
        return absent()
    for name, value in sent.items():
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            refuse(f"{name} is a whole number or null.")
    room = _fly(request).room(code)
    for name, value in sent.items():
        setattr(room, name, value)
    return json_answer(asdict(room))


async def add_app(request: web.Request) -> web.Response:
    """Let an app appear without anybody's doing: `{"name", "org_slug"?, "network"?}`."""
    sent = await read_object(request, known=frozenset({"name", "org_slug", "network"}))
    fly, name = _fly(request), str(sent.get("name") or "")
    if not name or name in fly.apps:
        refuse("name is the name of an app that isn't there yet.")
    organization = str(sent.get("org_slug") or ORGANIZATION)
    app = apps.add(fly, name=name, network=str(sent.get("network") or ""), organization=organization)
    app.hidden_reads, app.hidden_until = 0, None
    return json_answer(app.as_json(), status=201)


async def change_app(request: web.Request) -> web.Response:
    """Say how the program of an app answers; null is as usual."""
    sent = await read_object(request, known=frozenset(field.name for field in fields(Behaviour)))
    app = _app(request)
    if app is None:
        return absent()
    usual = asdict(Behaviour())
    changed = asdict(app.behaviour) | {name: usual[name] if value is None else value for name, value in sent.items()}
    behaviour = Behaviour(**changed)
    if any(status is not None and not 200 <= int(status) <= 599 for status in (behaviour.status, behaviour.dev_health)):  # noqa: PLR2004 - the statuses of final answers
        refuse("A status is a whole number from 200 to 599.")
    behaviour.delay = _number(changed, "delay")
    behaviour.workflows = {str(name): asdict(Workflow(**orders)) for name, orders in behaviour.workflows.items()}
    app.behaviour = behaviour
    return json_answer(asdict(behaviour))


async def remove_app(request: web.Request) -> web.Response:
    """Take an app away at once, as somebody in the dashboard would."""
    app = _app(request)
    if app is None:
        return absent()
    _fly(request).forget(app)
    return web.Response(status=204)


async def add_lines(request: web.Request) -> web.Response:
    """Let an app write: `{"lines": [text | {"message", "level"?, "instance"?, "region"?, "provider"?}]}`."""
    sent = await read_object(request, known=frozenset({"lines"}))
    app = _app(request)
    if app is None:
        return absent()
    lines = [_add_line(_fly(request), app, line) for line in cast("list[object]", sent["lines"])]
    return json_answer({"ids": [line.id for line in lines]}, status=201)


async def change_machine(request: web.Request) -> web.Response:
    """Let something happen to a machine: its program ends, its host is lost, its checks change.

    `state` puts it there at once; `released` ends its lease.
    """
    sent = await read_object(request, known=_MACHINE)
    fly, wanted = _fly(request), request.match_info["machine"]
    fly.clock.settle()
    found = [(app, app.machines[wanted]) for app in fly.apps.values() if wanted in app.machines]
    if not found:
        return absent()
    app, machine = found[0]
    _change(machine, sent)
    if "exit_code" in sent:
        Lifecycle(fly, app, machine).exit(int(cast("int", sent["exit_code"])), oom=sent.get("oom_killed") is True)
    if "state" in sent:
        Lifecycle(fly, app, machine).force(str(sent["state"]))
    return json_answer(machine.as_json())


async def revoke_tokens(request: web.Request) -> web.Response:
    """Make Fly forget every deploy token."""
    _fly(request).tokens.clear()
    return web.Response(status=204)


def _change(machine: Machine, sent: dict[str, object]) -> None:
    host = sent.get("host_status", machine.host_status)
    if host not in _HOSTS:
        refuse(f"host_status is one of {', '.join(_HOSTS)}.")
    machine.host_status = str(host)
    if "checks" in sent:
        machine.checks = [dict(check) for check in cast("list[dict[str, Any]]", sent["checks"])]
    if sent.get("released"):
        machine.lease = None


def _add_line(fly: Fly, app: App, line: object) -> LogLine:
    found: dict[str, Any] = {"message": line} if isinstance(line, str) else dict(cast("dict[str, Any]", line))
    if set(found) - _LINE or not isinstance(found.get("message"), str):
        refuse("A line is a text, or an object with message, level, instance, region and provider.")
    newest = app.living[-1] if app.living else None
    place = {"instance": newest.id if newest else "", "region": newest.region if newest else DEFAULT}
    return append(app.logs, now=fly.clock.now(), **(place | found))


def _fly(request: web.Request) -> Fly:
    return request.app[WORLD].fly


def _app(request: web.Request) -> App | None:
    app = _fly(request).apps.get(request.match_info["app"])
    return None if app is None or app.deleting else app


def _number(sent: dict[str, Any], name: str) -> float:
    value = sent.get(name, 0)
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
        refuse(f"{name} is a number that is not negative.")
    return float(value)
