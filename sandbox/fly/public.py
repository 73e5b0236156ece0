"""The address of every app, `https://{app}.fly.dev` at Fly: the proxy, and the program behind it."""

import asyncio
import time
from html import escape

from aiohttp import web

from sandbox.answers import html_answer, json_answer
from sandbox.fly import dev_api
from sandbox.fly.errors import FlyError
from sandbox.fly.images import image_ref
from sandbox.fly.lifecycle import Lifecycle
from sandbox.fly.machine import Machine
from sandbox.fly.state import App, Fly
from sandbox.pages import message_page, page
from sandbox.world import WORLD

HEALTH = "dev/__health"
_COMMIT_METADATA = "crayon_commit"
_COMMIT_VARIABLES = ("CRAYON_COMMIT", "GIT_COMMIT", "COMMIT")
_PATIENCE_SECONDS = 10.0
_LOOK_SECONDS = 0.02


async def answer(request: web.Request) -> web.StreamResponse:
    """Answer as the app does when a machine runs, after waking one that may be woken."""
    fly = request.app[WORLD].fly
    fly.clock.settle()
    app = fly.apps.get(request.match_info["app"])
    if app is None or app.deleting:
        return _refusal(404, "No such app", "There is no app at this address.")
    if not app.addresses:
        return _refusal(502, "No address", "This app has no public address.")
    machine = await _running(fly, app)
    if machine is None:
        return _refusal(503, "Nothing runs", "No machine of this app is started.")
    if app.behaviour.delay:
        await asyncio.sleep(app.behaviour.delay)
    tail = request.match_info.get("tail", "")
    if tail.startswith(dev_api.PREFIX) and "fly_process_group" not in machine.metadata:
        return await dev_api.answer(request, app, tail, now=fly.clock.now())
    return _program(request, app, machine)


def _program(request: web.Request, app: App, machine: Machine) -> web.Response:
    """Answer what the program in the machine would."""
    behaviour = app.behaviour
    if request.match_info.get("tail") == HEALTH and "fly_process_group" not in machine.metadata:
        status = behaviour.dev_health
        return json_answer({"status": "ok" if status == _OK else "unavailable"}, status=status)
    if behaviour.body is not None:
        return html_answer(behaviour.body, status=behaviour.status or _OK)
    if behaviour.status is not None:
        title = f"Answer {behaviour.status}"
        return _refusal(behaviour.status, title, f"The program in {app.name} answers {behaviour.status}.")
    return html_answer(page(service="Fly", title=app.name, content=_content(machine)))


def commit_of(machine: Machine) -> str:
    """Give the commit that a machine says it runs, or an empty text."""
    environment = machine.config.get("env") or {}
    named = [environment[name] for name in _COMMIT_VARIABLES if environment.get(name)]
    return str(machine.metadata.get(_COMMIT_METADATA) or (named[0] if named else ""))


def _content(machine: Machine) -> str:
    rows = {
        "Commit": commit_of(machine) or "unknown",
        "Image": image_ref(machine.config)["tag"],
        "Machine": machine.id,
        "Region": machine.region,
    }
    return "\n".join(f"<p>{name}: <code>{escape(value)}</code></p>" for name, value in rows.items())


async def _running(fly: Fly, app: App) -> Machine | None:
    """Give a started machine, after starting one at rest whose services ask for that."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        routed = [machine for machine in app.living if not machine.cordoned]
        for machine in routed:
            if machine.state == "started":
                return machine
        if time.monotonic() > deadline or not any(_wakes(fly, app, machine) for machine in routed):
            return None
        await asyncio.sleep(_LOOK_SECONDS)
        fly.clock.settle()


def _wakes(fly: Fly, app: App, machine: Machine) -> bool:
    """Start a machine that may be woken; say whether it is worth waiting for."""
    if not any(service.get("autostart") for service in machine.config.get("services") or []):
        return False
    if machine.state in ("stopped", "suspended"):
        try:
            Lifecycle(fly, app, machine).start()
        except FlyError as refusal:
            return refusal.status == _PRECONDITION
    return machine.state in ("starting", "restarting", "stopping", "suspending", "replacing")


def _refusal(status: int, title: str, sentence: str) -> web.Response:
    return html_answer(message_page(service="Fly", title=title, sentences=[sentence]), status=status)


_OK = 200
_PRECONDITION = 412
