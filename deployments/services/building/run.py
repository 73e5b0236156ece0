"""One attempt at a build, from the archive to an app that answers.

Whatever is done at Fly can be done again: another attempt starts from the archive, or, once Fly runs the new
image, from asking whether the app answers.
"""

import logging
import uuid
from pathlib import Path
from typing import Any

from django.db.models import F
from django.utils import timezone

from core.errors import ApplicationError
from core.leases import DATABASE_AWAY, CutOff, HandedOver
from deployments.models import Build
from deployments.services import preparation, queue
from deployments.services.building import after_failure, readiness
from deployments.services.building.build_context import ArchiveGone, lay_out
from deployments.services.building.build_dir import workspace
from deployments.services.building.cleanup import tidy
from deployments.services.building.deploy import BuildFailed, release
from deployments.services.building.lease import BuildAttempt, Canceled
from deployments.services.building.lease import take_in_turn as take
from deployments.services.building.log_writer import Logbook
from deployments.services.cancellation import CANCELED
from fly.clients.flyctl import FlyctlMissing

logger = logging.getLogger(__name__)

_CRASHED = "Something went wrong on our side. Push again; if it fails again, tell an operator of this server."
_ARCHIVE_GONE = "The uploaded archive is gone, so the build can't go on. Push again."
_INTERRUPTED = "The build was interrupted several times because its worker went away. Push again."
_CONFIRMING = "Waiting for the app to answer…"
_OVERTAKEN = "Canceling came too late: Fly runs the new image already."
_RUNS_ALL_THE_SAME = "Fly has this version's image all the same. To go back, deploy an earlier build again."
_UNKNOWN = "Fly can't be asked right now whether it runs this version; operators are told if it does."
_NO_FLYCTL = "This server can't build: its worker has no flyctl. Tell an operator of this server."


class WornOut(Exception):
    """The build has cost too many workers."""


def run_build(build_id: uuid.UUID) -> None:
    """Work on the build, or on the one whose turn it is, until it is over or this worker has to let go of it.

    Does nothing when none is to be had now.
    """
    attempt = take(build_id)
    if attempt is None:
        tidy(build_id)
        return
    logger.info("build %s: attempt %s", attempt.row.pk, attempt.row.attempt)
    with attempt.heartbeating():
        _attempt(attempt)
    tidy(attempt.row.pk)


def _attempt(attempt: BuildAttempt) -> None:
    """Carry it out, and turn whatever happens into the build's end."""
    logbook = Logbook(attempt)
    try:
        try:
            _carry_out(attempt, logbook)
        finally:
            logbook.flush()
    except CutOff:
        logger.warning("build %s: attempt %s was cut off", attempt.row.pk, attempt.row.attempt)
    except HandedOver:
        # Nothing went wrong, so a server that is deployed on and on wears no build out.
        _hand_over(attempt, hand_overs=F("hand_overs") + 1)
    except DATABASE_AWAY as error:
        # Not the build's fault: another attempt, of the few there are.
        logger.warning("build %s: the database went away: %s", attempt.row.pk, type(error).__name__)
        _hand_over(attempt)
    except Canceled:
        _end(attempt, Build.State.CANCELED, CANCELED)
    except Exception as error:  # noqa: BLE001 - what isn't known is logged with its traceback
        _fail(attempt, logbook, *_verdict(attempt, error))


def _verdict(attempt: BuildAttempt, error: Exception) -> tuple[Build.State, str]:
    """How the build ends after this error, and the sentence for the person."""
    match error:
        case ArchiveGone():
            return Build.State.INTERRUPTED, _ARCHIVE_GONE
        case WornOut():
            return Build.State.INTERRUPTED, _INTERRUPTED
        case FlyctlMissing():
            logger.error("build %s: no flyctl", attempt.row.pk, exc_info=error)
            return Build.State.FAILED, _NO_FLYCTL
        case BuildFailed() | ApplicationError():
            return Build.State.FAILED, error.sentence
    logger.error("build %s crashed", attempt.row.pk, exc_info=error)
    return Build.State.FAILED, _CRASHED


def _carry_out(attempt: BuildAttempt, logbook: Logbook) -> None:
    build = attempt.row
    if attempt.is_worn_out:
        raise WornOut
    if build.attempt > 1:
        logbook.write(f"The worker of this build went away; this is attempt {build.attempt}.")
    if build.state != Build.State.RELEASED:
        try:
            with workspace(build.pk, build.attempt) as folder:
                _deploy(attempt, logbook, folder)
        except Canceled:
            if not _was_overtaken(attempt, logbook):
                raise
    _confirm(attempt, logbook)


def _was_overtaken(attempt: BuildAttempt, logbook: Logbook) -> bool:
    """Whether Fly runs the canceled image, which is recorded then; taking a change back is nothing flyctl does."""
    image = after_failure.image_that_runs(attempt.row)
    if not image:
        if image is None:
            logbook.write(_UNKNOWN)
        return False
    attempt.note_released(image=image)
    logbook.write(_OVERTAKEN)
    return True


def _deploy(attempt: BuildAttempt, logbook: Logbook, folder: Path) -> None:
    """Bring the archive to Fly, as an image that runs."""
    attempt.note_step("Preparing the build…")
    build = attempt.row
    build.deployment = attempt.retry(lambda: preparation.finish(deployment_id=build.deployment_id, now=timezone.now()))
    attempt.require_going()
    lay_out(attempt, logbook, folder)
    attempt.require_going()
    image = release(attempt, logbook, folder)
    logbook.flush()
    if attempt.note_released(image=image):
        logbook.write(_OVERTAKEN)


def _confirm(attempt: BuildAttempt, logbook: Logbook) -> None:
    """Wait until the app answers. One that doesn't keeps its release: Fly does run it."""
    url = attempt.row.deployment.url
    logbook.note_step(f"{_OVERTAKEN} {_CONFIRMING}" if attempt.was_overtaken else _CONFIRMING)
    logbook.flush()
    if readiness.wait_until_answering(url, pause=attempt.wait):
        logbook.write(f"The app answers at {url}")
        logbook.flush()
        attempt.finish(Build.State.LIVE)
        return
    logbook.write(f"The app is released, but nothing answers at {url} yet. Its own logs may say why.")
    logbook.flush()
    attempt.finish(Build.State.RELEASED)


def _hand_over(attempt: BuildAttempt, **values: Any) -> None:
    """Let another worker take the build at once: this one is stopping."""
    try:
        attempt.hand_over(**values)
        queue.enqueue(attempt.row.pk)
    except CutOff:
        logger.warning("build %s: somebody else has it already", attempt.row.pk)


def _fail(attempt: BuildAttempt, logbook: Logbook, state: Build.State, sentence: str) -> None:
    """End it so; Fly may have its image all the same, and then that is what the app's pages have to show."""
    image = "" if attempt.row.state == Build.State.RELEASED else after_failure.image_that_runs(attempt.row)
    try:
        if image != "":
            logbook.write(_UNKNOWN if image is None else _RUNS_ALL_THE_SAME)
            logbook.flush()
    except (CutOff, *DATABASE_AWAY):
        logger.warning("build %s: its log ends early", attempt.row.pk)
    _end(attempt, state, sentence, image=image or "")


def _end(attempt: BuildAttempt, state: Build.State, sentence: str, *, image: str = "") -> None:
    try:
        attempt.give_up(state, sentence, image=image)
    except CutOff:
        logger.warning("build %s: somebody else has it, so its end is theirs", attempt.row.pk)
