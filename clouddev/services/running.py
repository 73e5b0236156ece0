"""Starting and stopping a machine. Fly is asked for its state first, and only what has an effect is sent."""

import time
from collections.abc import Callable
from datetime import datetime

from django.db import transaction

from accounts import audit
from clouddev.models import Machine
from clouddev.services import at_fly
from config.core.errors import Conflict, Unavailable
from config.core.ratelimits import RateLimit
from deployments.clients.fly import (
    Fly,
    InsufficientCapacity,
    LeaseHeld,
    PreconditionFailed,
    UnknownApp,
    UnknownMachine,
)
from deployments.clients.fly import Machine as FlyMachine

State = Machine.State
# One that is stopping can't be started yet: the caller is told to wait, rather than that it runs.
_STARTABLE = frozenset({"stopped", "stopping", "suspended", "suspending", "created", "failed"})
_STOPPABLE = frozenset({"started", "starting", "suspended"})
# A machine that has just stopped, or whose image is prepared, can't be started for some seconds.
_PAUSES = (0.5, 1.0, 1.5)
_BUSY_FOR_SECONDS = 5
CHANGES = RateLimit("machine-changes", "30/minute")


class NotReady(Conflict):
    """409: the machine is being made or removed, or could not be made."""


class StillBusy(Unavailable):
    """503: Fly is changing the machine's state right now."""

    default = "The machine is changing its state at Fly. Please try again in a few seconds."


class GoneAtFly(Conflict):
    """409: Fly has no machine any more."""

    default = "Fly no longer has this machine. Destroy it and create it again."


def start(*, machine: Machine, actor: audit.Actor, now: datetime) -> int:
    """Start it; says how many machines were started, 0 when it runs already.

    Raises NotReady, StillBusy, GoneAtFly, TooManyRequests and the Fly client's errors.
    """
    return _change(machine, actor, "machine.started", _STARTABLE, lambda fly, found: _started(fly, machine, found), now)


def stop(*, machine: Machine, actor: audit.Actor, now: datetime) -> int:
    """Stop it; says how many were stopped. Raises as `start` does."""
    return _change(
        machine, actor, "machine.stopped", _STOPPABLE,
        lambda fly, found: fly.stop_machine(machine.fly_app_id, found.id), now,
    )  # fmt: skip


def _change(  # noqa: PLR0913, PLR0917 - what the two ways have in common
    machine: Machine,
    actor: audit.Actor,
    action: str,
    states: frozenset[str],
    call: Callable[[Fly, FlyMachine], None],
    now: datetime,
) -> int:
    require_ready(machine)
    CHANGES.spend(str(actor.id))
    fly = Fly.from_settings()
    try:
        there = fly.list_machines(machine.fly_app_id)
        found = [item for item in there if item.state in states]
        for item in found:
            call(fly, item)
    except (UnknownApp, UnknownMachine) as error:
        raise GoneAtFly from error
    except (PreconditionFailed, LeaseHeld) as error:
        raise StillBusy(retry_after=_BUSY_FOR_SECONDS) from error
    finally:
        at_fly.forget_states()
    if not there:
        raise GoneAtFly
    with transaction.atomic():
        Machine.objects.filter(pk=machine.pk).update(last_active_at=now, warned_at=None)
        if found:
            audit.record(
                action, actor=actor, target=machine, organization_id=machine.organization_id,
                details={"app": machine.app_name, "fly_app": machine.fly_app_id},
            )  # fmt: skip
    return len(found)


def _started(fly: Fly, machine: Machine, found: FlyMachine) -> None:
    """Start one machine, and wait a little for Fly to be able to."""
    for pause in _PAUSES:
        try:
            fly.start_machine(machine.fly_app_id, found.id)
        except PreconditionFailed:
            time.sleep(pause)
        except InsufficientCapacity as error:
            raise InsufficientCapacity(
                f"Fly has no room for the machine in {found.region} right now. Try again in a few minutes."
            ) from error
        else:
            return
    fly.start_machine(machine.fly_app_id, found.id)


def require_ready(machine: Machine) -> None:
    """Raise NotReady, saying what the machine is instead."""
    if machine.state == State.CREATING:
        raise NotReady("The machine is still being made. Please try again when it is running.")
    require_there(machine)


def require_there(machine: Machine) -> None:
    """Raise NotReady for a machine that is neither ready nor going to be."""
    if machine.state in {State.FAILED, State.UNDOING}:
        raise NotReady("The machine could not be made. Create it again.")
    if machine.state == State.DESTROYING:
        raise NotReady("The machine is being destroyed.")
