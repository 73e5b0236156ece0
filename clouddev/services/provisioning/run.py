"""One attempt at a machine: making it, undoing what was made, or destroying it.

Each step is recorded, and can be done again: after a crash the next attempt begins at the start and finds
done what is done. What can't be made is undone, so that nothing is left at Fly or in the data database.
"""

import logging
import uuid

from django.db.models import F
from django.utils import timezone

from clouddev.models import Machine
from clouddev.services import kept_env, queue
from clouddev.services.provisioning.create import Impossible, make
from clouddev.services.provisioning.lease import MachineAttempt, take
from clouddev.services.provisioning.teardown import remove_outside
from core.errors import ApplicationError
from core.leases import DATABASE_AWAY, CutOff, HandedOver

logger = logging.getLogger(__name__)

# After so many attempts something is wrong that another one won't mend.
_MOST_ATTEMPTS = 6
_AT_ONCE = 100
_CRASHED = "Something went wrong on our side. Create the workspace again; if it fails again, tell an operator."
_INTERRUPTED = "Making the workspace was interrupted several times. Create it again."
State = Machine.State


def work(machine_id: uuid.UUID) -> None:
    """Do what the machine's row says is to be done. Does nothing when a living worker is at it."""
    attempt = take(machine_id)
    if attempt is None:
        return
    logger.info("machine %s: %s, attempt %s", machine_id, attempt.row.state, attempt.row.attempt)
    with attempt.heartbeating():
        goes_on = _attempt(attempt)
    if goes_on:
        work(machine_id)


def sweep() -> None:
    """Give machines that nobody is at to a worker. Runs every few seconds; can be repeated."""
    # Those that were tried longest ago first: many that can't be removed for now must not keep others waiting.
    oldest = Machine.objects.free().order_by(F("heartbeat_at").asc(nulls_first=True), "created_at", "pk")
    for machine_id in oldest.values_list("pk", flat=True)[:_AT_ONCE]:
        queue.enqueue(machine_id)


def _attempt(attempt: MachineAttempt) -> bool:
    """Do one state's work; says whether another state's follows at once."""
    try:
        if attempt.row.state == State.CREATING:
            return _create(attempt)
        _remove(attempt)
    except CutOff:
        logger.warning("machine %s: attempt %s was cut off", attempt.row.pk, attempt.row.attempt)
        return attempt.make_way()
    except HandedOver:
        _let_go(attempt)
    except (ApplicationError, *DATABASE_AWAY) as error:
        logger.warning("machine %s: not removed yet: %s", attempt.row.pk, type(error).__name__)
        return _rest(attempt)
    except Exception:
        logger.exception("machine %s: not removed yet", attempt.row.pk)
        return _rest(attempt)
    return False


def _create(attempt: MachineAttempt) -> bool:
    try:
        if attempt.row.attempt - attempt.row.attempts_before > _MOST_ATTEMPTS:
            raise Impossible(_INTERRUPTED)  # noqa: TRY301 - the same as other impossibilities
        make(attempt)
    except (CutOff, HandedOver):
        raise
    except DATABASE_AWAY as error:
        # Not the machine's fault: another attempt, of the few there are.
        logger.warning("machine %s: the database went away: %s", attempt.row.pk, type(error).__name__)
        _let_go(attempt)
        return False
    except (Impossible, ApplicationError) as error:
        return _give_up(attempt, error.sentence)
    except Exception:
        logger.exception("machine %s crashed", attempt.row.pk)
        return _give_up(attempt, _CRASHED)
    now = timezone.now()
    attempt.end(State.READY, "machine.created", step="", ready_at=now, last_active_at=now, **kept_env.ERASED)
    return False


def _give_up(attempt: MachineAttempt, sentence: str) -> bool:
    attempt.end(
        State.UNDOING, "machine.failed", error=sentence[:500], step="Removing what was made…",
        attempts_before=attempt.row.attempt, **kept_env.kept_after_failure(now=timezone.now()),
    )  # fmt: skip
    return True


def _remove(attempt: MachineAttempt) -> None:
    """Remove all there is outside; then the row too, or make it one that can be created anew."""
    remove_outside(attempt)
    if attempt.row.state == State.DESTROYING:
        attempt.patiently(lambda: _forget(attempt))
        return
    attempt.end(
        State.FAILED, "machine.undone", step="", volume_id="", fly_machine_id="", secrets_version=None, fly_state="",
    )  # fmt: skip


def _forget(attempt: MachineAttempt) -> None:
    if not attempt.mine().delete()[0]:
        raise CutOff


def _rest(attempt: MachineAttempt) -> bool:
    """Remove the rest later: the sweep comes back to it. Says whether other work was ordered meanwhile."""
    try:
        attempt.rest()
    except CutOff:
        return attempt.make_way()
    return False


def _let_go(attempt: MachineAttempt) -> None:
    """Let another worker take the machine at once: this one is stopping, or has lost what it was at."""
    try:
        attempt.hand_over()
        queue.enqueue(attempt.row.pk)
    except CutOff:
        logger.warning("machine %s: somebody else has it already", attempt.row.pk)
