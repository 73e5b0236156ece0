"""Whether a machine is to run, as somebody wished: recorded before Fly is asked, and kept until it has been done.

For some seconds after each change, and for a minute when it is new, a machine takes no orders. Whoever asks is not
kept waiting for that: a worker asks Fly again. A later wish takes the place of an earlier one.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
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
_PAUSE = timedelta(seconds=3)
# Longer than whoever has recorded a wish is at it.
_LEFT_ALONE_FOR = timedelta(seconds=10)
_AT_ONCE = 100
_GOING: Mapping[str, str] = {Machine.Wanted.STARTED: "starting", Machine.Wanted.STOPPED: "stopping"}
# Fly's words for a machine that is as wished, or about to be.
_FULFILLED: Mapping[str, frozenset[str]] = {
    Machine.Wanted.STARTED: frozenset({"started", "starting"}),
    Machine.Wanted.STOPPED: frozenset({"stopped", "stopping", "suspended", "suspending"}),
}
_ACTIONS = {Machine.Wanted.STARTED: "machine.started", Machine.Wanted.STOPPED: "machine.stopped"}


@dataclass(frozen=True, slots=True)
class Wish:
    """That the machine be so, as of this moment; by nobody means by this server."""

    machine: Machine
    wanted: str
    at: datetime
    by: audit.Actor | None

    def row(self) -> MachineQuerySet:
        """The machine's row, as long as nobody has wished anything since and it is not done."""
        return Machine.objects.awaited().filter(pk=self.machine.pk, wanted=self.wanted, wanted_at=self.at)


def record(*, machine: Machine, wanted: str, actor: audit.Actor, now: datetime) -> Wish:
    """Write it down, in the place of any other. It counts as use of the machine."""
    Machine.objects.filter(pk=machine.pk, state=Machine.State.READY).update(
        wanted=wanted, wanted_at=now, wanted_by=actor.id, error="", last_active_at=now, warned_at=None
    )
    return Wish(machine, wanted, now, actor)


def awaited(machine: Machine) -> Wish | None:
    """What the row says is yet to be done."""
    if machine.wanted_at is None:
        return None
    return Wish(machine, machine.wanted, machine.wanted_at, machine.wanted_by)


def fulfil(wish: Wish, *, changed: bool) -> None:
    """It is so now; with `changed`, because of this wish, which goes into the audit trail."""
    with transaction.atomic():
        if wish.row().update(wanted_at=None, error=""):
            if changed:
                _record(wish)
        elif changed:
            _look_again(wish)


def withdraw(wish: Wish) -> None:
    """Nobody shall go on: whoever wished it is told that it failed."""
    wish.row().update(wanted_at=None)


def give_up(wish: Wish, sentence: str) -> None:
    """It can't be done; the sentence is shown as long as the machine isn't as wished."""
    if wish.row().update(wanted_at=None, error=sentence[:LONGEST_SENTENCE]):
        logger.warning("machine %s: not %s", wish.machine.pk, wish.wanted)


def hand_over(wish: Wish) -> None:
    """Have a worker ask Fly again in a moment."""
    queue.enqueue_wish(wish.machine.pk, after=_PAUSE)


def sweep(*, now: datetime) -> None:
    """Give wishes that nobody may be at any more to a worker. Runs every few seconds; can be repeated."""
    left = Machine.objects.awaited().filter(wanted_at__lt=now - _LEFT_ALONE_FOR).order_by("wanted_at")
    for machine_id in left.values_list("pk", flat=True)[:_AT_ONCE]:
        queue.enqueue_wish(machine_id)


def under_way(machine: Machine, word: str) -> str:
    """What is yet to be done at Fly, which calls the machine's state `word`: `starting`, `stopping` or nothing."""
    if machine.wanted_at is None or word in _FULFILLED[machine.wanted]:
        return ""
    return _GOING[machine.wanted]


def complaint(machine: Machine, word: str) -> str:
    """Why the last wish could not be fulfilled, as long as the machine isn't as wished."""
    if machine.wanted_at is not None or word in _FULFILLED.get(machine.wanted, ()):
        return ""
    return machine.error


def _look_again(wish: Wish) -> None:
    """What was sent for this wish may have reached Fly after what was sent for a later one: that is asked for anew."""
    later = Machine.objects.filter(pk=wish.machine.pk, state=Machine.State.READY).exclude(wanted=wish.wanted)
    if later.update(wanted_at=timezone.now()):
        hand_over(wish)


def _record(wish: Wish) -> None:
    machine = wish.machine
    audit.record(
        _ACTIONS[Machine.Wanted(wish.wanted)],
        actor=wish.by,
        target=machine,
        organization_id=machine.organization_id,
        details={"app": machine.app_name, "fly_app": machine.fly_app_id},
    )
