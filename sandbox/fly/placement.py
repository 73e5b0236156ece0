"""Where a machine goes: the first region that has room, or the host of its volume."""

import secrets
from typing import Any

from sandbox.fly.errors import FlyError, invalid, precondition
from sandbox.fly.machine import HOLDS_MEMORY, Machine
from sandbox.fly.regions import DEFAULT, candidates, no_room_for_machine, over_quota
from sandbox.fly.state import App, Fly
from sandbox.fly.tokens import ORGANIZATION
from sandbox.fly.volume import Volume


def place(fly: Fly, app: App, *, asked: str, config: dict[str, Any]) -> tuple[str, str]:
    """Give region and host for a new machine. Raises FlyError."""
    volumes = mounted(app, config)
    memory = int(config["guest"]["memory_mb"])
    if volumes:
        volume = volumes[0]
        return _beside(fly, volume, asked=asked, memory=memory)
    problem: FlyError | None = None
    for region in candidates(asked or DEFAULT):
        problem = refusal(fly, region=region, memory=memory)
        if problem is None:
            return region, secrets.token_hex(2)
    raise problem or no_room_for_machine()


def refusal(fly: Fly, *, region: str, memory: int, but: Machine | None = None) -> FlyError | None:
    """Say why a machine doesn't fit into a region, or None when it does."""
    room = fly.room(region)
    holding = [one for one in fly.machines_in(region) if one.state in HOLDS_MEMORY and one is not but]
    used = sum(one.memory_mb for one in holding)
    if room.quota_mb is not None and used + memory > room.quota_mb:
        return over_quota(organization=ORGANIZATION, used_mb=used, region=region)
    if room.machines is not None and len(holding) >= room.machines:
        return no_room_for_machine()
    return None


def mounted(app: App, config: dict[str, Any], *, by: Machine | None = None) -> list[Volume]:
    """Give the volumes of a configuration that `by` may have. Raises FlyError."""
    found = []
    for mount in config.get("mounts") or []:
        volume = app.volumes.get(str(mount.get("volume", "")))
        if volume is None or volume.is_gone:
            raise invalid(f"volume {mount.get('volume')!r} not found")
        if volume.attached_machine_id is not None and (by is None or volume.attached_machine_id != by.id):
            raise precondition(f"volume already claimed by machine {volume.attached_machine_id}")
        found.append(volume)
    return found


def _beside(fly: Fly, volume: Volume, *, asked: str, memory: int) -> tuple[str, str]:
    """A volume pins its machine to its own host; without a hint that host may turn out too small."""
    problem = refusal(fly, region=volume.region, memory=memory)
    if problem is not None and problem.status == _FORBIDDEN:
        raise problem
    misplaced = bool(asked) and volume.region not in candidates(asked)
    too_small = not (volume.has_hint or fly.knobs.hintless_volumes_fit)
    if misplaced or too_small or problem is not None:
        text = f"insufficient resources to create new machine with existing volume '{volume.id}'"
        raise precondition(text, code="insufficient_capacity")
    return volume.region, volume.host


_FORBIDDEN = 403
