"""Starting and stopping a machine."""

import logging
import uuid
from collections.abc import Callable
from datetime import datetime

from django.db import transaction

from accounts import audit
from clouddev.models import Machine
from clouddev.services import desired_state
from clouddev.services.access import NoSuchMachine
from clouddev.services.fly_power import GoneAtFly, bring
from core.database import outlast_restarts
from core.errors import ApplicationError, Conflict, Unavailable
from core.rate_limits import RateLimit
from fly.clients.machines_api import InsufficientCapacity

logger = logging.getLogger(__name__)

State, Wanted = Machine.State, Machine.Wanted
_BUSY_FOR_SECONDS = 5
_BUSY = "It was changing its state at Fly for more than a minute. Please try again in a moment."
CHANGES = RateLimit("machine-changes", "30/minute")


class NotReady(Conflict):
    """409: the machine is being made or removed, or could not be made."""


class StillBusy(Unavailable):
    """503: Fly is changing the machine's state right now."""

    default = "The workspace is changing its state at Fly. Please try again in a few seconds."


def start(*, machine: Machine, actor: audit.Actor, now: datetime, claim: Callable[[], None] | None = None) -> int:
    """Start it, at once or as soon as Fly can; says how many machines start, 0 when it runs already.

    `claim` is called in the transaction that records the desired state, to check once more that it is allowed. Raises
    what `claim` raises, NotReady, GoneAtFly, NoSuchMachine for one that has just gone, TooManyRequests and the Fly
    client's errors.
    """
    require_ready(machine)
    CHANGES.spend(str(actor.id))
    return _ask(machine, Wanted.STARTED, actor, now, claim)


def stop(*, machine: Machine, actor: audit.Actor, now: datetime, claim: Callable[[], None] | None = None) -> int:
    """Stop it, at once or as soon as Fly can; says how many stop. Raises as `start` does."""
    require_ready(machine)
    CHANGES.spend(str(actor.id))
    return _ask(machine, Wanted.STOPPED, actor, now, claim)


def _record_idle(machine: Machine) -> None:
    audit.record(
        "machine.stopped_idle", actor=None, target=machine,
        details={"app": machine.app_name, "fly_app": machine.fly_app_id},
    )  # fmt: skip


def wake(*, machine: Machine, actor: audit.Actor, now: datetime) -> int:
    """Start it for a job of the actor's, which counts as use, but not among what they do by hand."""
    require_ready(machine)
    return _ask(machine, Wanted.STARTED, actor, now)


def stop_idle(*, machine: Machine, now: datetime) -> int:
    """Stop it because nobody uses it, which is no use of it. Raises as `start` does, and StillBusy."""
    require_ready(machine)
    outcome = bring(machine, Wanted.STOPPED)
    if outcome.changed or outcome.waiting:
        outlast_restarts(lambda: desired_state.take_back_stop(machine=machine, now=now))
    if not outcome.is_done:
        raise StillBusy(retry_after=_BUSY_FOR_SECONDS)
    if outcome.changed:
        outlast_restarts(lambda: _record_idle(machine))
    return outcome.changed


def carry_on(machine_id: uuid.UUID, *, now: datetime) -> None:
    """Ask Fly again for the machine's desired state unless it is reached. Safe to run several times at once."""
    outlast_restarts(lambda: _carry_on(machine_id, now=now))


def _carry_on(machine_id: uuid.UUID, *, now: datetime) -> None:
    machine = Machine.objects.awaited().select_related("wanted_by").filter(pk=machine_id).first()
    desired = desired_state.awaited(machine) if machine is not None else None
    if machine is None or desired is None:
        return
    if machine.wanted_by is not None and not machine.wanted_by.is_active:
        # Recorded in the moment in which their access ended.
        desired_state.end_of(machine.wanted_by.pk, among=Machine.objects.filter(pk=machine.pk))
        return
    if now - desired.at > desired_state.STALE_AFTER:
        desired_state.give_up(desired, _failed(desired, desired_state.TOO_LATE))
        return
    try:
        reason = "" if bring(desired.machine, desired.wanted).is_done else _BUSY
    except (GoneAtFly, InsufficientCapacity) as error:
        desired_state.give_up(desired, _failed(desired, error.sentence))
        return
    except ApplicationError as error:
        reason = error.sentence
    if not reason:
        # Its caller was promised it, so the audit row is theirs, however Fly came to do it.
        desired_state.fulfil(desired, changed=True)
    elif now - desired.at > desired_state.LASTS:
        desired_state.give_up(desired, _failed(desired, reason))
    else:
        desired_state.hand_over(desired)


def _ask(
    machine: Machine, wanted: str, actor: audit.Actor, now: datetime, claim: Callable[[], None] | None = None
) -> int:
    """Record the desired state and bring it about here, or else by a worker; says how many machines it concerns."""
    with transaction.atomic():
        if claim is not None:
            claim()
        desired = desired_state.record(machine=machine, wanted=wanted, actor=actor, now=now)
    if desired is None:
        is_as = Machine.objects.filter(pk=machine.pk).first()
        if is_as is None:
            raise NoSuchMachine
        require_ready(is_as)
        raise StillBusy(retry_after=_BUSY_FOR_SECONDS)
    try:
        outcome = bring(machine, wanted)
    except ApplicationError as error:
        desired_state.withdraw(desired, _failed(desired, error.sentence))
        raise
    if outcome.is_done:
        desired_state.fulfil(desired, changed=bool(outcome.changed))
    else:
        desired_state.hand_over(desired)
    return outcome.changed + outcome.waiting


def _failed(desired: desired_state.DesiredState, reason: str) -> str:
    return f"The workspace could not be {desired.wanted}. {reason}"


def require_ready(machine: Machine) -> None:
    """Raise NotReady, saying what the machine is instead."""
    if machine.state == State.CREATING:
        raise NotReady("The workspace is still being made. Please try again when it is running.")
    require_there(machine)


def require_there(machine: Machine) -> None:
    """Raise NotReady for a machine that is neither ready nor going to be."""
    if machine.state in {State.FAILED, State.UNDOING}:
        raise NotReady("The workspace could not be made. Create it again.")
    if machine.state == State.DESTROYING:
        raise NotReady("The workspace is being destroyed. Create it again in a minute.")
