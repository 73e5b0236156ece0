"""Waiting for a state: the answer comes when it is reached, or when the time is up.

Source: https://fly.io/docs/machines/api/machines-resource/#wait-for-a-machine-to-reach-a-specified-state
"""

import asyncio
from datetime import timedelta

from aiohttp import web

from sandbox.answers import json_answer
from sandbox.fly.access import Call
from sandbox.fly.errors import FlyError, invalid, not_found
from sandbox.fly.machine import SETTLED, Machine

_STATES = frozenset({"started", "stopped", "suspended", "destroyed", "failed", "settled"})
_LONGEST = 60
_LOOK_SECONDS = 0.02


async def wait(call: Call) -> web.Response:
    """Answer when the machine is in one of the states, 408 after `timeout` seconds."""
    machine, states = call.machine, _states(call)
    version = call.request.query.get("instance_id") or call.request.query.get("version") or ""
    if "stopped" in states and not version:
        raise invalid("instance_id is required to wait for stopped")
    if version and version not in [one for one, _ in machine.versions]:
        raise not_found("machine version")
    deadline = call.now + timedelta(seconds=_timeout(call))
    while not _is_reached(machine, states, version):
        if call.now >= deadline or _is_abandoned(call.request):
            wanted = ", ".join(sorted(states))
            text = f"machine failed to reach desired state, {wanted}, currently {machine.state}"
            raise FlyError(408, f"deadline_exceeded: {text}")
        await asyncio.sleep(_LOOK_SECONDS)
        call.fly.clock.settle()
    event = machine.events[0].id if machine.events else ""
    shown = {"ok": True, "state": machine.state, "version": machine.instance_id, "event_id": event}
    return json_answer(shown)


def _is_reached(machine: Machine, states: set[str], version: str) -> bool:
    """A version that was replaced is over: whoever waits for its end is answered, others are not."""
    if version and version != machine.instance_id:
        return bool(states & {"stopped", "destroyed", "settled"})
    return machine.state in states or ("settled" in states and machine.state in SETTLED)


def _is_abandoned(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _states(call: Call) -> set[str]:
    texts = call.request.query.getall("state", [])
    states = {word.strip() for text in texts for word in text.split(",") if word.strip()} or {"started"}
    if unknown := states - _STATES:
        raise invalid(f"can't wait for state {', '.join(sorted(unknown))}")
    return states


def _timeout(call: Call) -> int:
    text = call.request.query.get("timeout", str(_LONGEST)).removesuffix("s")
    if not text.isdigit() or not 1 <= int(text) <= _LONGEST:
        raise invalid(f"timeout must be from 1 to {_LONGEST} seconds")
    return int(text)
