"""Finding room for a volume and its machine: in the wanted region, else in those near it.

A volume lies on one host, so the machine has to fit there too. Whatever is found at Fly is gone on with; a
volume that no machine was ever on is deleted before the next region is tried, and never any other.
"""

import logging

from django.conf import settings

from clouddev import regions
from clouddev.services.provisioning import machine_config
from clouddev.services.provisioning.lease import MachineAttempt
from fly.clients.machines_api import (
    Fly,
    InsufficientCapacity,
    Machine,
    PreconditionFailed,
    QuotaExceeded,
    UnknownVolume,
    Volume,
)

logger = logging.getLogger(__name__)

MACHINE_NAME = "dev"
_NO_ROOM = (InsufficientCapacity, QuotaExceeded)
_MAKING = "Making the workspace in {region}…"


class NoRoom(Exception):
    """Fly has no room in any of the regions that were tried."""

    def __init__(self, tried: tuple[str, ...]) -> None:
        where = f"neither in {', '.join(tried[:-1])} nor" if len(tried) > 1 else "not in"
        self.sentence = f"Fly has no room for the workspace right now, {where} {tried[-1]}. Try again later."
        super().__init__(self.sentence)


def place(attempt: MachineAttempt, fly: Fly) -> Machine:
    """The machine, on its volume. Can be repeated after whatever an attempt before has made. Raises NoRoom."""
    candidates = regions.nearest(attempt.row.region)
    for region in candidates:
        attempt.note_step(_MAKING.format(region=region))
        try:
            return attempt.settle(lambda region=region: _in_region(attempt, fly, region))  # type: ignore[misc]
        except _NO_ROOM as error:
            logger.info("machine %s: no room in %s: %s", attempt.row.pk, region, type(error).__name__)
            if attempt.row.fly_machine_id:
                # One was there already, and what it has written lies in this region.
                raise NoRoom((region,)) from error
            attempt.settle(lambda: _drop_unused(attempt, fly))
    raise NoRoom(candidates)


def drop_spare_volumes(attempt: MachineAttempt, fly: Fly) -> None:
    """Delete volumes that a lost answer left behind, once the machine has its own."""
    for volume in fly.list_volumes(attempt.row.fly_app_id):
        if volume.id != attempt.row.volume_id:
            _delete_unused(fly, attempt, volume)


def _in_region(attempt: MachineAttempt, fly: Fly, region: str) -> Machine:
    """Go on with what is there already; make what isn't."""
    app = attempt.row.fly_app_id
    for machine in fly.list_machines(app):
        if machine.state not in {"destroyed", "destroying"}:
            own = next((item.id for item in fly.list_volumes(app) if item.machine_id == machine.id), "")
            attempt.record(
                fly_machine_id=machine.id,
                volume_id=own or attempt.row.volume_id,
                region=machine.region,
                **_size(machine),
            )
            return machine
    volume = _volume(attempt, fly, region)
    attempt.record(volume_id=volume.id)
    machine = fly.create_machine(
        app,
        name=MACHINE_NAME,
        region=volume.region,
        config=machine_config.config(volume_id=volume.id, metadata={"crayon_machine": str(attempt.row.pk)}),
        min_secrets_version=attempt.row.secrets_version,
    )
    attempt.record(fly_machine_id=machine.id, region=machine.region or volume.region, **_size(machine))
    return machine


def _size(machine: Machine) -> dict[str, int | None]:
    """What Fly says that it has; settings may have changed since it was made."""
    found = machine.config.guest if isinstance(machine.config.guest, dict) else {}
    sizes = {"cpus": found.get("cpus"), "memory_mb": found.get("memory_mb")}
    return {name: size if isinstance(size, int) else None for name, size in sizes.items()}


def _volume(attempt: MachineAttempt, fly: Fly, region: str) -> Volume:
    app = attempt.row.fly_app_id
    for volume in fly.list_volumes(app):
        if volume.is_there and volume.region == region and not volume.machine_id:
            return volume
    return fly.create_volume(
        app,
        name=machine_config.VOLUME_NAME,
        region=region,
        size_gb=settings.CLOUD_DEV_VOLUME_GB,
        compute=machine_config.guest(),
    )


def _drop_unused(attempt: MachineAttempt, fly: Fly) -> None:
    for volume in fly.list_volumes(attempt.row.fly_app_id):
        _delete_unused(fly, attempt, volume)
    attempt.record(volume_id="")


def _delete_unused(fly: Fly, attempt: MachineAttempt, volume: Volume) -> None:
    """Delete a volume that no machine is on; one that Fly thinks bound stays, and goes with the app at the latest."""
    if not volume.is_there or volume.machine_id:
        return
    try:
        fly.delete_volume(attempt.row.fly_app_id, volume.id)
    except (UnknownVolume, PreconditionFailed):
        logger.info("volume %s of %s is not to be deleted now", volume.id, attempt.row.fly_app_id)
