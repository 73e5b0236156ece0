"""Which state somebody wants a machine in, started or stopped: recorded before Fly is asked, kept until reached.

Fly refuses to start or stop a machine for some seconds after each change, and for a minute when the machine is new.
Callers don't wait for that: a worker asks Fly again. A new desired state replaces the one before. When Fly refuses the
new one at once, its caller is told, and the last one that a caller was promised counts again.
"""

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from accounts import audit
from clouddev.models import Machine
from clouddev.models.machines import LONGEST_SENTENCE, MachineQuerySet
from clouddev.services import queue

logger = logging.getLogger(__name__)

# Fly's longest such time is about 70 seconds.
LASTS = timedelta(seconds=90)
# After workers were away, or failed at it in a way that nobody thought of, nobody expects it any more.
STALE_AFTER = timedelta(minutes=5)
TOO_LATE = "Nothing could see to it in time. Please try again."
_PAUSE = timedelta(seconds=3)
# Longer than the request that recorded a desired state takes to bring it about.
_LEFT_ALONE_FOR = timedelta(seconds=10)
_AT_ONCE = 100
_GOING: Mapping[str, str] = {Machine.Wanted.STARTED: "starting", Machine.Wanted.STOPPED: "stopping"}
# Fly's words for a machine that is in the desired state, or about to be.
_FULFILLED: Mapping[str, frozenset[str]] = {
    Machine.Wanted.STARTED: frozenset({"started", "starting"}),
    Machine.Wanted.STOPPED: frozenset({"stopped", "stopping", "suspended", "suspending"}),
}
_ACTIONS = {Machine.Wanted.STARTED: "machine.started", Machine.Wanted.STOPPED: "machine.stopped"}


@dataclass(frozen=True, slots=True)
class DesiredState:
    """`wanted` of the machine since `at`; `by` is None when this server itself wants it."""

    machine: Machine
    wanted: str
    at: datetime
    by: audit.Actor | None

    def row(self) -> MachineQuerySet:
        """The machine's row as a queryset, empty once this is reached or replaced by another."""
        return Machine.objects.awaited().filter(pk=self.machine.pk, wanted=self.wanted, wanted_at=self.at)


def record(*, machine: Machine, wanted: str, actor: audit.Actor, now: datetime) -> DesiredState | None:
    """Record the desired state in place of any other, and count it as use of the machine; None when it isn't ready."""
    recorded = Machine.objects.filter(pk=machine.pk, state=Machine.State.READY).update(
        wanted=wanted, wanted_at=now, wanted_by=actor.id, error="", last_active_at=now, warned_at=None
    )
    return DesiredState(machine, wanted, now, actor) if recorded else None


def awaited(machine: Machine) -> DesiredState | None:
    """Give the desired state that the row says is not reached yet, None without one."""
    if machine.wanted_at is None:
        return None
    return DesiredState(machine, machine.wanted, machine.wanted_at, machine.wanted_by)


def fulfil(desired: DesiredState, *, changed: bool) -> None:
    """Note that the state is reached. With `changed` this is what changed it, and an audit row says so."""
    with transaction.atomic():
        if desired.row().update(wanted_at=None, promised_at=None, error=""):
            if changed:
                _record(desired)
            return
        # What was promised until then has been done, or has been replaced by this.
        Machine.objects.filter(pk=desired.machine.pk, promised_at__lte=desired.at).update(promised_at=None)
        if changed:
            _look_again(desired.machine, after=desired.wanted)


def withdraw(desired: DesiredState, sentence: str) -> None:
    """Take it back, as its caller is told that it failed. An earlier promise counts again; else the error stays."""
    promised = desired.row().filter(promised_at__lt=desired.at)
    if promised.update(wanted=F("promised"), wanted_at=F("promised_at"), wanted_by=F("promised_by"), promised_at=None):
        logger.info("machine %s: not %s, and what was promised before counts again", desired.machine.pk, desired.wanted)
        queue.enqueue_desired_state(desired.machine.pk, after=_PAUSE)
    else:
        give_up(desired, sentence)


def give_up(desired: DesiredState, sentence: str) -> None:
    """Stop trying; the sentence is shown until the machine is in that state after all."""
    if desired.row().update(wanted_at=None, promised_at=None, error=sentence[:LONGEST_SENTENCE]):
        logger.warning("machine %s: not %s", desired.machine.pk, desired.wanted)


def hand_over(desired: DesiredState) -> None:
    """Promise it, and have a worker ask Fly again in a moment."""
    older = Q(promised_at=None) | Q(promised_at__lt=desired.at)
    Machine.objects.filter(older, pk=desired.machine.pk).update(
        promised=desired.wanted, promised_at=desired.at, promised_by=desired.by.id if desired.by else None
    )
    queue.enqueue_desired_state(desired.machine.pk, after=_PAUSE)


def end_of(person_id: uuid.UUID, *, among: MachineQuerySet) -> int:
    """Drop what the person wants of these machines, and say how many. What others were promised before counts again."""
    among.filter(promised_by=person_id).update(promised_at=None)
    theirs = among.awaited().filter(wanted_by=person_id)
    others = list(theirs.filter(promised_at__lt=F("wanted_at")).values_list("pk", flat=True))
    again = theirs.filter(pk__in=others, promised_at__isnull=False)
    count = again.update(wanted=F("promised"), wanted_at=F("promised_at"), wanted_by=F("promised_by"), promised_at=None)
    for machine_id in others:
        queue.enqueue_desired_state(machine_id, after=_PAUSE)
    return count + theirs.update(wanted_at=None, error="")


def sweep(*, now: datetime) -> None:
    """Give desired states that no request is still working on to a worker. Runs every few seconds; can be repeated."""
    left = Machine.objects.awaited().filter(wanted_at__lt=now - _LEFT_ALONE_FOR).order_by("wanted_at", "pk")
    for machine_id in left.values_list("pk", flat=True)[:_AT_ONCE]:
        queue.enqueue_desired_state(machine_id)


def under_way(machine: Machine, word: str) -> str:
    """What is yet to be done at Fly, which calls the machine's state `word`: `starting`, `stopping` or nothing."""
    if machine.wanted_at is None or word in _FULFILLED[machine.wanted] or _is_stale(machine):
        return ""
    return _GOING[machine.wanted]


def complaint(machine: Machine, word: str) -> str:
    """Say why the last desired state was not reached; nothing when it is, or may still be."""
    if word in _FULFILLED.get(machine.wanted, ()):
        return ""
    if _is_stale(machine):
        return f"The workspace could not be {machine.wanted}. {TOO_LATE}"
    return machine.error if machine.wanted_at is None else ""


def _is_stale(machine: Machine) -> bool:
    """Whether no worker has seen to it, and none will any more."""
    return machine.wanted_at is not None and timezone.now() - machine.wanted_at > STALE_AFTER


def forget_complaints(*, heard_of: Mapping[uuid.UUID, str]) -> None:
    """What could not be done is so by now, by Fly's words: it is not to be complained of when that changes again."""
    for wanted, words in _FULFILLED.items():
        like_that = [machine_id for machine_id, word in heard_of.items() if word in words]
        done = Machine.objects.filter(pk__in=like_that, state=Machine.State.READY, wanted=wanted, wanted_at=None)
        done.exclude(error="").update(error="")


def take_back_stop(*, machine: Machine, now: datetime) -> None:
    """Nobody seemed to use the machine, and it was stopped; somebody has used or marked it since: it starts again.

    `machine` is as it was looked up before it was stopped.
    """
    same = Machine.objects.filter(pk=machine.pk, state=Machine.State.READY)
    # Who had it started meanwhile was told that it runs; who had it kept, that it is not stopped.
    used = ~Q(last_active_at=machine.last_active_at) & Q(wanted=Machine.Wanted.STARTED)
    kept = Q(last_active_at=machine.last_active_at, wanted_at=None, keep_alive_until__gt=now)
    if same.filter(used | kept).update(wanted=Machine.Wanted.STARTED, wanted_at=timezone.now(), error=""):
        queue.enqueue_desired_state(machine.pk, after=_PAUSE)


def _look_again(machine: Machine, *, after: str) -> None:
    """Have a newer desired state asked for again: the call for the older one may have reached Fly last."""
    later = Machine.objects.filter(pk=machine.pk, state=Machine.State.READY).exclude(wanted=after)
    if later.update(wanted_at=timezone.now()):
        queue.enqueue_desired_state(machine.pk, after=_PAUSE)


def _record(desired: DesiredState) -> None:
    machine = desired.machine
    audit.record(
        _ACTIONS[Machine.Wanted(desired.wanted)],
        actor=desired.by,
        target=machine,
        details={"app": machine.app_name, "fly_app": machine.fly_app_id},
    )
