"""Volumes.

Source: https://fly.io/docs/machines/api/volumes-resource/
"""

import re
import secrets
from functools import partial

from aiohttp import web

from sandbox.answers import json_answer
from sandbox.fly import identifiers
from sandbox.fly.access import Call
from sandbox.fly.errors import FlyError, invalid, not_found, precondition, unprocessable
from sandbox.fly.regions import single
from sandbox.fly.state import App, Fly
from sandbox.fly.volume import Volume

_NAME = re.compile(r"[a-z0-9_]{1,30}")
_USUAL_GB = 3
_MOST_GB = 500
_LONGEST_RETENTION = 60
_DESTROY_SECONDS = 5.0


def create(call: Call) -> web.Response:
    """Make a volume in one region; a hint of the machine to come chooses a host that will fit it."""
    app, name = call.app, call.text("name")
    if not _NAME.fullmatch(name):
        raise unprocessable("Name may only contain lowercase letters, numbers and underscores")
    region = single(call.text("region"))
    source = _source(call, app)
    room = call.fly.room(region)
    if room.volumes is not None and _count(call.fly, region) >= room.volumes:
        text = f"insufficient resources available to create a volume in region {region}"
        raise FlyError(412, f"failed_precondition: {text}", code="volume_placement_capacity")
    host = secrets.token_hex(2)
    volume = Volume(
        id=identifiers.volume_id(),
        name=name,
        region=region,
        host=host,
        zone=host,
        size_gb=_size(call, default=source.size_gb if source else _USUAL_GB),
        created_at=call.now,
        encrypted=call.body.get("encrypted") is not False,
        fstype=call.text("fstype", "ext4"),
        snapshot_retention=_retention(call, default=5),
        auto_backup_enabled=call.body.get("auto_backup_enabled") is not False,
        has_hint=isinstance(call.body.get("compute"), dict),
    )
    app.volumes[volume.id] = volume
    return json_answer(volume.as_json())


def list_all(call: Call) -> web.Response:
    """List the volumes of an app; one that was just deleted may still look alive."""
    shown = []
    for volume in call.app.volumes.values():
        if volume.is_gone and volume.stale_reads:
            volume.stale_reads -= 1
            shown.append(volume.as_json(state="created"))
        elif volume.state != "destroyed":
            shown.append(volume.as_json())
    return json_answer(shown)


def show(call: Call) -> web.Response:
    """Show one."""
    return json_answer(_volume(call).as_json())


def change(call: Call) -> web.Response:
    """Change how snapshots are taken and kept."""
    volume = _volume(call)
    volume.snapshot_retention = _retention(call, default=volume.snapshot_retention)
    backup = call.body.get("auto_backup_enabled")
    volume.auto_backup_enabled = volume.auto_backup_enabled if backup is None else backup is True
    return json_answer(volume.as_json())


def extend(call: Call) -> web.Response:
    """Make a volume larger; it never shrinks."""
    volume = _volume(call)
    size = _size(call, default=0)
    if size <= volume.size_gb:
        raise unprocessable(f"size_gb must be more than {volume.size_gb}")
    volume.size_gb = size
    return json_answer({"volume": volume.as_json(), "needs_restart": volume.attached_machine_id is not None})


def delete(call: Call) -> web.Response:
    """Destroy a volume that no machine holds."""
    volume = _volume(call)
    if volume.is_gone:
        raise not_found("volume")
    if volume.attached_machine_id is not None:
        raise precondition(f"volume is currently bound to machine {volume.attached_machine_id}")
    volume.state, volume.stale_reads = "pending_destroy", call.fly.knobs.volume_lag_reads
    call.fly.clock.after(_DESTROY_SECONDS, partial(setattr, volume, "state", "destroyed"))
    return json_answer(volume.as_json())


def list_snapshots(call: Call) -> web.Response:
    """List the snapshots of a volume."""
    return json_answer(_volume(call).snapshots)


def take_snapshot(call: Call) -> web.Response:
    """Take a snapshot; a second one has to wait until the first is done."""
    volume = _volume(call)
    if any(one["status"] == "running" for one in volume.snapshots):
        raise precondition("snapshot is already scheduled")
    snapshot = {"id": f"vs_{identifiers.short_id()}", "status": "running", "size": volume.size_gb << 20}
    volume.snapshots.append(snapshot)
    call.fly.clock.after(_DESTROY_SECONDS, partial(snapshot.update, status="created"))
    return web.Response(status=200)


def _volume(call: Call) -> Volume:
    volume = call.app.volumes.get(call.request.match_info["volume"])
    if volume is None:
        raise not_found("volume")
    return volume


def _source(call: Call, app: App) -> Volume | None:
    """Give the volume to fork. Raises FlyError."""
    wanted = call.text("source_volume_id")
    if not wanted:
        return None
    source = app.volumes.get(wanted)
    if source is None or source.is_gone:
        raise not_found("source volume")
    return source


def _count(fly: Fly, region: str) -> int:
    return sum(
        volume.region == region and not volume.is_gone for app in fly.apps.values() for volume in app.volumes.values()
    )


def _size(call: Call, *, default: int) -> int:
    size = call.body.get("size_gb", default)
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= _MOST_GB:
        raise invalid(f"size_gb must be from 1 to {_MOST_GB}")
    return size


def _retention(call: Call, *, default: int) -> int:
    days = call.body.get("snapshot_retention", default)
    if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= _LONGEST_RETENTION:
        raise invalid(f"snapshot_retention must be from 1 to {_LONGEST_RETENTION}")
    return days
