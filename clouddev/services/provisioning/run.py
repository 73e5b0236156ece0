"""A machine's making, its undoing when it can't be made, and its end, each from the first step to the last.

Making: app with addresses, database, secrets, volume, machine, until it has started. Removing goes the other way. Each
step is recorded, and can be done again: after a crash the next worker begins at the start and finds done what is done.
"""

import logging
import time
import uuid
from contextlib import suppress
from datetime import timedelta

import orjson
from django.conf import settings
from django.db.models import F
from django.utils import timezone

from clouddev import regions
from clouddev.clients.data_database import DataDatabase
from clouddev.machine_tokens import Signer
from clouddev.models import Machine
from clouddev.names import database_name_of
from clouddev.services import kept_env, queue
from clouddev.services.provisioning import machine_config
from clouddev.services.provisioning.lease import MachineLease, take
from core.database import DATABASE_AWAY
from core.errors import ApplicationError, Unavailable
from core.leases import HandedOver, LeaseLost
from fly.clients.machines_api import (
    AddressKind,
    Fly,
    InsufficientCapacity,
    LeaseHeld,
    PreconditionFailed,
    QuotaExceeded,
    UnknownMachine,
    UnknownVolume,
    Volume,
)
from fly.clients.machines_api import Machine as FlyMachine
from fly.names import slug_of
from fly.services import fly_apps

logger = logging.getLogger(__name__)

# After so many attempts something is wrong that another one won't mend.
_MOST_ATTEMPTS = 6
_AT_ONCE = 100
_CRASHED = "Something went wrong on our side. Create the workspace again; if it fails again, tell an operator."
_INTERRUPTED = "Making the workspace was interrupted several times. Create it again."
# SSH is raw TCP, which a shared IPv4 can't tell apart.
_ADDRESSES: tuple[AddressKind, ...] = ("v6", "v4")
_NO_ROOM = (InsufficientCapacity, QuotaExceeded)
_STARTS_WITHIN_SECONDS = 300.0
_WAIT = timedelta(seconds=4)
_ENDED = frozenset({"failed", "launch_failed", "destroyed"})
State = Machine.State


class Impossible(Exception):
    """The machine can't be made; `sentence` is for the person who wants it."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence
        super().__init__(sentence)


class DatabaseElsewhere(Unavailable):
    """The machine's database was made at another host, and is not where the server has its data database now."""

    default = (
        "The workspace's database is at a host that this server no longer uses. An operator has to remove it there."
    )


def sweep() -> None:
    """Give machines that nobody is at to a worker. Runs every few seconds; can be repeated."""
    # Those that were tried longest ago first: many that can't be removed for now must not keep others waiting.
    oldest = Machine.objects.free().order_by(F("heartbeat_at").asc(nulls_first=True), "created_at", "pk")
    for machine_id in oldest.values_list("pk", flat=True)[:_AT_ONCE]:
        queue.enqueue(machine_id)


def work(machine_id: uuid.UUID) -> None:
    """Do what the machine's row says is to be done. Does nothing when a living worker is at it."""
    lease = take(machine_id)
    if lease is None:
        return
    logger.info("machine %s: %s, attempt %s", machine_id, lease.row.state, lease.row.attempt)
    with lease.heartbeating():
        goes_on = _carry_out(lease)
    if goes_on:
        work(machine_id)


def _carry_out(lease: MachineLease) -> bool:
    """Do one state's work; says whether another state's follows at once."""
    try:
        if lease.row.state == State.CREATING:
            return _create(lease)
        _remove(lease)
    except LeaseLost:
        logger.warning("machine %s: attempt %s was cut off", lease.row.pk, lease.row.attempt)
        return lease.make_way()
    except HandedOver:
        _let_go(lease)
    except (ApplicationError, *DATABASE_AWAY) as error:
        logger.warning("machine %s: not removed yet: %s", lease.row.pk, type(error).__name__)
        return _rest(lease)
    except Exception:
        logger.exception("machine %s: not removed yet", lease.row.pk)
        return _rest(lease)
    return False


def _let_go(lease: MachineLease) -> None:
    """Let another worker take the machine at once: this one is stopping, or has lost what it was at."""
    try:
        lease.hand_over()
        queue.enqueue(lease.row.pk)
    except LeaseLost:
        logger.warning("machine %s: somebody else has it already", lease.row.pk)


def _rest(lease: MachineLease) -> bool:
    """Remove the rest later: the sweep comes back to it. Says whether other work was ordered meanwhile."""
    try:
        lease.rest()
    except LeaseLost:
        return lease.make_way()
    return False


# Making


def _create(lease: MachineLease) -> bool:
    """Make the machine; says whether it has to be undone instead."""
    try:
        if lease.attempts > _MOST_ATTEMPTS:
            raise Impossible(_INTERRUPTED)  # noqa: TRY301 - the same as other impossibilities
        _make(lease)
    except (LeaseLost, HandedOver):
        raise
    except DATABASE_AWAY as error:
        # Not the machine's fault: another attempt, of the few there are.
        logger.warning("machine %s: the database went away: %s", lease.row.pk, type(error).__name__)
        _let_go(lease)
        return False
    except (Impossible, ApplicationError) as error:
        return _give_up(lease, error.sentence)
    except Exception:
        logger.exception("machine %s crashed", lease.row.pk)
        return _give_up(lease, _CRASHED)
    now = timezone.now()
    lease.end(State.READY, "machine.created", step="", ready_at=now, last_active_at=now, **kept_env.ERASED)
    return False


def _give_up(lease: MachineLease, sentence: str) -> bool:
    lease.end(
        State.UNDOING, "machine.failed", error=sentence[:500], step="Removing what was made…",
        attempts_before=lease.row.attempt, **kept_env.kept_after_failure(now=timezone.now()),
    )  # fmt: skip
    return True


def _make(lease: MachineLease) -> None:
    """Do all that is left until the machine has started. Raises Impossible and what the clients raise."""
    fly = Fly.from_settings()
    lease.note_step("Setting up the app…")
    lease.retry(lambda: fly_apps.ensure(fly_app_id=lease.row.fly_app_id, addresses=_ADDRESSES, now=timezone.now()))
    if lease.row.secrets_version is None:
        _set_secrets(lease, fly)
    machine = _place(lease, fly)
    lease.settle(lambda: _drop_volumes(lease, fly, keep=lease.row.volume_id))
    _wait_until_started(lease, fly, machine.id)


def _set_secrets(lease: MachineLease, fly: Fly) -> None:
    """Give Fly all that the machine shall know. The database's password exists here and there only.

    A worker that died before this was recorded is followed by one that makes a new password.
    """
    machine = lease.row
    values = orjson.loads(machine.sealed_environment.open()) if machine.sealed_environment else {}
    if machine.database_schema:
        lease.note_step("Setting up the database…")
        made = lease.retry(lambda: DataDatabase.from_settings().provision(database_name_of(machine.fly_app_id)))
        lease.record(database_host=made.host)
        values |= {"DATABASE_URL": made.url, "DATABASE_SCHEMA": made.schema}
    lease.note_step("Setting the secrets…")
    # Last, so that they are as they have to be whatever its owner wants set.
    values |= {
        "APP_NAME": slug_of(machine.app_name),
        "DEV_USER": machine.dev_user,
        "SSH_PUBLIC_KEY": machine.ssh_public_key,
        "CRAYON_SERVER_URL": settings.PUBLIC_URL,
        "DEV_UI_JWT_PUBLIC_KEY": Signer.from_settings().public_key_pem(escaped=True),
    }
    version = lease.settle(lambda: fly.set_secrets(machine.fly_app_id, values))
    lease.record(secrets_version=version)


def _place(lease: MachineLease, fly: Fly) -> FlyMachine:
    """Find room for a volume and its machine, in the wanted region or in those near it, and make them there.

    A volume lies on one host, so the machine has to fit there too. Can be repeated after whatever a worker before has
    made. Raises Impossible.
    """
    candidates = regions.nearest(lease.row.region)
    for region in candidates:
        lease.note_step(f"Making the workspace in {region}…")
        try:
            return lease.settle(lambda region=region: _in_region(lease, fly, region))  # type: ignore[misc]
        except _NO_ROOM as error:
            logger.info("machine %s: no room in %s: %s", lease.row.pk, region, type(error).__name__)
            if lease.row.fly_machine_id:
                # One was there already, and what it has written lies in this region.
                raise _no_room(region) from error
            lease.settle(lambda: _drop_volumes(lease, fly))
            lease.record(volume_id="")
    raise _no_room(*candidates)


def _no_room(*tried: str) -> Impossible:
    where = f"neither in {', '.join(tried[:-1])} nor" if len(tried) > 1 else "not in"
    return Impossible(f"Fly has no room for the workspace right now, {where} {tried[-1]}. Try again later.")


def _in_region(lease: MachineLease, fly: Fly, region: str) -> FlyMachine:
    """Go on with the volume and the machine that are there already; make what isn't."""
    app = lease.row.fly_app_id
    for machine in fly.list_machines(app):
        if machine.state not in {"destroyed", "destroying"}:
            own = next((item.id for item in fly.list_volumes(app) if item.machine_id == machine.id), "")
            _record_machine(lease, machine, region=machine.region, volume_id=own or lease.row.volume_id)
            return machine
    volume = next((item for item in fly.list_volumes(app) if _is_unused(item) and item.region == region), None)
    volume = volume or fly.create_volume(
        app,
        name=machine_config.VOLUME_NAME,
        region=region,
        size_gb=settings.CLOUD_DEV_VOLUME_GB,
        compute=machine_config.guest(),
    )
    lease.record(volume_id=volume.id)
    machine = fly.create_machine(
        app,
        name=machine_config.MACHINE_NAME,
        region=volume.region,
        config=machine_config.config(volume_id=volume.id, metadata={"crayon_machine": str(lease.row.pk)}),
        min_secrets_version=lease.row.secrets_version,
    )
    _record_machine(lease, machine, region=machine.region or volume.region, volume_id=volume.id)
    return machine


def _record_machine(lease: MachineLease, machine: FlyMachine, *, region: str, volume_id: str) -> None:
    """Record it, with the size that Fly says it has; settings may have changed since it was made."""
    found = machine.config.guest if isinstance(machine.config.guest, dict) else {}
    sizes = {name: found.get(name) for name in ("cpus", "memory_mb")}
    known = {name: size if isinstance(size, int) else None for name, size in sizes.items()}
    lease.record(fly_machine_id=machine.id, volume_id=volume_id, region=region, **known)


def _is_unused(volume: Volume) -> bool:
    return volume.is_there and not volume.machine_id


def _drop_volumes(lease: MachineLease, fly: Fly, *, keep: str = "") -> None:
    """Delete the volumes on which no machine ever was: what a lost answer left behind, or a region without room.

    Never any other: one that Fly thinks bound stays, and goes with the app at the latest.
    """
    app = lease.row.fly_app_id
    for volume in fly.list_volumes(app):
        if volume.id == keep or not _is_unused(volume):
            continue
        try:
            fly.delete_volume(app, volume.id)
        except (UnknownVolume, PreconditionFailed):
            logger.info("volume %s of %s is not to be deleted now", volume.id, app)


def _wait_until_started(lease: MachineLease, fly: Fly, machine_id: str) -> None:
    """Wait for Fly to have it running; one that was made without being started is started."""
    lease.note_step("Starting the workspace…")
    app = lease.row.fly_app_id
    until = time.monotonic() + _STARTS_WITHIN_SECONDS
    while time.monotonic() < until:
        lease.require_going()
        machine = lease.settle(lambda: fly.get_machine(app, machine_id))
        if machine.state == "started":
            lease.record(fly_state=machine.state)
            return
        if machine.state in _ENDED:
            raise Impossible("The workspace did not start at Fly. Create it again.")
        if machine.state in {"stopped", "suspended"}:
            # What changes its state right now is looked at again in a moment.
            with suppress(PreconditionFailed, UnknownMachine, LeaseHeld):
                lease.retry(lambda: fly.start_machine(app, machine_id))
        lease.settle(lambda: fly.wait_for_machine(app, machine_id, state="started", timeout=_WAIT))
    raise Impossible("The workspace did not start within five minutes. Create it again.")


# Undoing and destroying


def _remove(lease: MachineLease) -> None:
    """Remove all there is outside; then the row too, or make it one that can be created anew.

    What isn't there is done. The app goes first, with machine and volume, so that nothing is left that would still use
    the database. Raises DatabaseElsewhere and what the clients raise.
    """
    machine = lease.row
    lease.note_step("Removing the workspace and its volume…")
    lease.briefly(lambda: fly_apps.remove(fly_app_id=machine.fly_app_id, now=timezone.now()))
    if machine.database_schema:
        _remove_database(lease)
    if machine.state == State.DESTROYING:
        lease.patiently(lambda: _forget(lease))
        return
    lease.end(
        State.FAILED, "machine.undone", step="", volume_id="", fly_machine_id="", secrets_version=None, fly_state="",
    )  # fmt: skip


def _remove_database(lease: MachineLease) -> None:
    """Drop the machine's role and schemas where they are. Raises DatabaseElsewhere, and what the client raises."""
    lease.note_step("Removing the database…")
    database, name = DataDatabase.from_settings(), database_name_of(lease.row.fly_app_id)
    if lease.row.database_host not in {"", database.host}:
        if not lease.briefly(lambda: database.exists(name)):
            logger.error(
                "machine %s: its database %s is at %s, and DATABASE_DATA_URL is at %s: drop it there",
                lease.row.pk, name, lease.row.database_host, database.host,
            )  # fmt: skip
            lease.note_step(DatabaseElsewhere.default)
            raise DatabaseElsewhere
        # It came along with everything else, so it is here from now on, also for whoever finds it dropped.
        lease.record(database_host=database.host)
    lease.briefly(lambda: database.drop(name))


def _forget(lease: MachineLease) -> None:
    if not lease.mine().delete()[0]:
        raise LeaseLost
