"""Leases: whoever holds one is the only one to change a machine until it ends.

Source: https://fly.io/docs/machines/api/machines-resource/#machine-leases
"""

import secrets
from dataclasses import replace
from datetime import timedelta

from aiohttp import web

from sandbox.answers import json_answer
from sandbox.fly.access import Call
from sandbox.fly.clock import spelled
from sandbox.fly.errors import FlyError, invalid, not_found
from sandbox.fly.machine import Lease, Machine
from sandbox.fly.state import Fly

NONCE_HEADER = "fly-machine-lease-nonce"
_USUAL_SECONDS = 120
_OWNER = "sandbox@example.com"


def take(call: Call) -> web.Response:
    """Take a lease, or hold it longer when the nonce is sent."""
    machine = call.machine
    held = current(call.fly, machine)
    if held is not None and call.request.headers.get(NONCE_HEADER) != held.nonce:
        raise _conflict(machine, held)
    lease = grant(call.fly, machine, seconds=_seconds(call), description=call.text("description"))
    if held is not None:
        lease.nonce = held.nonce
    return json_answer(_shown(machine, lease), status=201)


def show(call: Call) -> web.Response:
    """Show who holds the machine; the nonce is the holder's alone."""
    machine = call.machine
    lease = current(call.fly, machine)
    if lease is None:
        raise not_found("lease")
    return json_answer(_shown(machine, replace(lease, nonce="")))


def release(call: Call) -> web.Response:
    """Give the lease back."""
    machine = call.machine
    if current(call.fly, machine) is None:
        raise not_found("lease")
    need(call, machine)
    machine.lease = None
    return json_answer({"ok": True})


def grant(fly: Fly, machine: Machine, *, seconds: float, description: str = "") -> Lease:
    """Give a lease to whoever asks."""
    expires_at = fly.clock.now() + timedelta(seconds=seconds)
    machine.lease = Lease(secrets.token_hex(6), expires_at, _OWNER, description)
    return machine.lease


def current(fly: Fly, machine: Machine) -> Lease | None:
    """Give the lease that holds, if any."""
    if machine.lease is not None and machine.lease.expires_at <= fly.clock.now():
        machine.lease = None
    return machine.lease


def need(call: Call, machine: Machine) -> None:
    """Refuse a change by anybody but the holder. Raises FlyError."""
    held = current(call.fly, machine)
    if held is not None and call.request.headers.get(NONCE_HEADER) != held.nonce:
        raise _conflict(machine, held)


def _seconds(call: Call) -> float:
    """Read the time to live from the body, or from the query where fly-go puts it. Raises FlyError."""
    sent = call.body.get("ttl", call.request.query.get("ttl", _USUAL_SECONDS))
    try:
        seconds = float(sent)
    except (TypeError, ValueError):
        raise invalid("ttl must be a number of seconds") from None
    if not seconds > 0:
        raise invalid("ttl must be positive")
    return seconds


def _shown(machine: Machine, lease: Lease) -> dict[str, object]:
    return {
        "status": "success",
        "data": {
            "nonce": lease.nonce,
            "expires_at": int(lease.expires_at.timestamp()),
            "owner": lease.owner,
            "description": lease.description,
            "version": machine.instance_id,
        },
    }


def _conflict(machine: Machine, held: Lease) -> FlyError:
    text = f"machine ID {machine.id} lease currently held by {held.owner}, expires at {spelled(held.expires_at)}"
    return FlyError(409, text, body={"status": "error", "code": "lease_held", "message": text})
