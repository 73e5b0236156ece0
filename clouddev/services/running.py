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
    require_ready(machine)
    CHANGES.spend(str(actor.id))
    return wake(machine=machine, actor=actor, now=now)


def stop(*, machine: Machine, actor: audit.Actor, now: datetime) -> int:
    """Stop it; says how many were stopped. Raises as `start` does."""
    require_ready(machine)
    CHANGES.spend(str(actor.id))
    stopped = _change(machine, _STOPPABLE, _stopped)
    _record(machine, "machine.stopped" if stopped else "", actor, last_active_at=now, warned_at=None)
    return stopped


def wake(*, machine: Machine, actor: audit.Actor, now: datetime) -> int:
    """Start it for a job of the actor's, which counts as use, but not among what they do by hand."""
    require_ready(machine)
    started = _change(machine, _STARTABLE, _started)
    _record(machine, "machine.started" if started else "", actor, last_active_at=now, warned_at=None)
    return started


def stop_idle(*, machine: Machine) -> int:
    """Stop it because nobody uses it, which is no use of it. Raises as `start` does, but for TooManyRequests."""
    require_ready(machine)
    stopped = _change(machine, _STOPPABLE, _stopped)
    _record(machine, "machine.stopped_idle" if stopped else "", None)
    return stopped


def _change(machine: Machine, states: frozenset[str], call: Callable[[Fly, Machine, FlyMachine], None]) -> int:
    """Call it for all of the app's machines in one of the states; says for how many."""
    fly = Fly.from_settings()
    try:
        there = fly.list_machines(machine.fly_app_id)
        found = [item for item in there if item.state in states]
        for item in found:
            call(fly, machine, item)
    except (UnknownApp, UnknownMachine) as error:
        raise GoneAtFly from error
    except (PreconditionFailed, LeaseHeld) as error:
        raise StillBusy(retry_after=_BUSY_FOR_SECONDS) from error
    finally:
        at_fly.forget_states()
    if not there:
        raise GoneAtFly
    return len(found)


@transaction.atomic
def _record(machine: Machine, action: str, actor: audit.Actor | None, **noted: datetime | None) -> None:
    if noted:
        Machine.objects.filter(pk=machine.pk).update(**noted)
    if action:
        audit.record(
            action, actor=actor, target=machine, organization_id=machine.organization_id,
            details={"app": machine.app_name, "fly_app": machine.fly_app_id},
        )  # fmt: skip


def _stopped(fly: Fly, machine: Machine, found: FlyMachine) -> None:
    fly.stop_machine(machine.fly_app_id, found.id)


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
        raise NotReady("The machine is being destroyed. Create it again in a minute.")
