"""Machines: made, listed, shown, replaced and destroyed.

Source: https://fly.io/docs/machines/api/machines-resource/
"""

import copy
import secrets
from typing import Any

from aiohttp import web

from sandbox.answers import json_answer
from sandbox.fly import configs, identifiers, leases
from sandbox.fly.access import Call, is_hidden
from sandbox.fly.errors import FlyError, invalid, not_found, precondition
from sandbox.fly.lifecycle import Lifecycle, attach
from sandbox.fly.machine import DESTROYED, Machine
from sandbox.fly.placement import mounted, place
from sandbox.fly.secrets import need_version

_METADATA = "metadata."


def create(call: Call) -> web.Response:
    """Make a machine; it is usually `created` when the answer comes."""
    app, fly = call.app, call.fly
    config = configs.checked(call.body.get("config"))
    name = call.text("name") or f"crimson-pine-{secrets.randbelow(10_000):04}"
    for other in app.living:
        if other.name == name:
            text = f'unique machine name violation, machine ID {other.id} already exists with name "{name}"'
            raise FlyError(409, f"already_exists: {text}")
    need_version(call, _whole_number(call, "min_secrets_version"))
    region, host = place(fly, app, asked=call.text("region"), config=config)
    machine = _new(call, name=name, region=region, host=host, config=config)
    app.machines[machine.id] = machine
    attach(app, machine)
    Lifecycle(fly, app, machine).create(launch=not _flag(call, "skip_launch"))
    return json_answer(_with_lease(call, machine))


def _new(call: Call, *, name: str, region: str, host: str, config: dict[str, Any]) -> Machine:
    version = identifiers.ulid()
    return Machine(
        id=identifiers.machine_id(),
        app_name=call.app.name,
        name=name,
        region=region,
        host=host,
        instance_id=version,
        private_ip=f"fdaa:0:{call.app.number:x}:a7b:{secrets.randbits(16):x}:{secrets.randbits(16):x}:0:2",
        config=config,
        created_at=call.now,
        updated_at=call.now,
        versions=[(version, copy.deepcopy(config))],
        hidden_reads=call.fly.knobs.machine_lag_reads,
        hidden_until=call.fly.later(call.fly.knobs.machine_lag_seconds),
        skips_secrets=_flag(call, "skip_secrets"),
    )


def list_all(call: Call) -> web.Response:
    """List the machines of an app, by state, region and metadata."""
    query = call.request.query
    wanted = {name.removeprefix(_METADATA): value for name, value in query.items() if name.startswith(_METADATA)}
    states = _words(call, "state")
    shown = []
    for machine in call.app.machines.values():
        gone = machine.state == DESTROYED and not call.flag("include_deleted") and DESTROYED not in states
        unlike = any(machine.metadata.get(name) != value for name, value in wanted.items())
        elsewhere = bool(query.get("region")) and machine.region != query["region"]
        other = bool(states) and machine.state not in states
        if not (gone or unlike or elsewhere or other or is_hidden(call.fly, machine)):
            shown.append(_listed(call, machine))
    return json_answer(shown)


def show(call: Call) -> web.Response:
    """Show one; a destroyed machine stays visible for a while."""
    return json_answer(call.machine.as_json())


def update(call: Call) -> web.Response:
    """Replace the whole configuration; region and name stay."""
    machine = changeable(call)
    config = configs.checked(call.body.get("config"))
    for name in ("region", "name"):
        if call.text(name) not in ("", getattr(machine, name)):
            raise invalid(f"{name} of a machine can't be changed")
    expected = call.text("current_version")
    if expected not in ("", machine.instance_id):
        raise precondition(f"machine version mismatch, expected {expected} but found {machine.instance_id}")
    need_version(call, _whole_number(call, "min_secrets_version"))
    lifecycle = Lifecycle(call.fly, call.app, machine)
    lifecycle.need_updatable()
    mounted(call.app, config, by=machine)
    machine.skips_secrets = _flag(call, "skip_secrets")
    lifecycle.update(config, launch=not _flag(call, "skip_launch"))
    attach(call.app, machine)
    return json_answer(_with_lease(call, machine))


def delete(call: Call) -> web.Response:
    """Destroy a machine, by force when it runs."""
    machine = changeable(call)
    Lifecycle(call.fly, call.app, machine).destroy(force=call.flag("force") or call.flag("kill"))
    return json_answer({"ok": True})


def changeable(call: Call) -> Machine:
    """Give the machine of the path if the caller may change it. Raises FlyError."""
    machine = call.machine
    if machine.state == DESTROYED:
        raise not_found("machine")
    if machine.host_status == "unreachable":
        raise FlyError(503, "unavailable: the host of the machine is unreachable")
    leases.need(call, machine)
    return machine


def _with_lease(call: Call, machine: Machine) -> dict[str, Any]:
    """Show a machine with the nonce of the lease that was asked for along with the change."""
    shown = machine.as_json()
    seconds = _whole_number(call, "lease_ttl")
    if seconds:
        held = leases.current(call.fly, machine)
        nonce = held.nonce if held else None
        lease = leases.grant(call.fly, machine, seconds=seconds)
        lease.nonce = nonce or lease.nonce
        shown["nonce"] = lease.nonce
    return shown


def _listed(call: Call, machine: Machine) -> dict[str, Any]:
    shown = machine.as_json(summary=call.flag("summary"))
    lease = leases.current(call.fly, machine)
    if call.flag("include_leases") and lease is not None:
        shown["lease"] = {"owner": lease.owner, "expires_at": int(lease.expires_at.timestamp())}
    return shown


def _words(call: Call, name: str) -> set[str]:
    texts = call.request.query.getall(name, [])
    return {word.strip() for text in texts for word in text.split(",") if word.strip()}


def _flag(call: Call, name: str) -> bool:
    value = call.body.get(name)
    if value is not None and not isinstance(value, bool):
        raise invalid(f"{name} must be a boolean")
    return bool(value)


def _whole_number(call: Call, name: str) -> int:
    value = call.body.get(name)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise invalid(f"{name} must be a whole number")
    return value
