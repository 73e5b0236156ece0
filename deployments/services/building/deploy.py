"""Having flyctl build the image and bring it to Fly."""

import logging
import time
from datetime import timedelta
from pathlib import Path

from django.conf import settings

from core.leases import CutOff, HandedOver
from deployments.image_tags import label_of
from deployments.services.building.build_context import config_of, context_of
from deployments.services.building.lease import BuildAttempt, Canceled
from deployments.services.building.log_writer import Logbook
from fly.clients import flyctl
from fly.clients.flyctl import Limits, Order, Outcome, StopReason
from fly.clients.flyctl.error_messages import LEASE_HELD, is_for_operators
from fly.clients.flyctl.progress import StepReader
from fly.clients.machines_api import Fly

logger = logging.getLogger(__name__)

# Longer than a build may take, since flyctl asks Fly to the very end.
_TOKEN_LASTS_LONGER = timedelta(minutes=15)
_LONGEST_LEASE_SECONDS, _LEASE_PAUSE_SECONDS = 330.0, 15.0


class BuildFailed(Exception):
    """The build came to a bad end; `sentence` is for the person who pushed."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence
        super().__init__(sentence)


def release(attempt: BuildAttempt, logbook: Logbook, folder: Path) -> str:
    """Build and deploy what lies in the folder; answers the image's reference.

    A deployment that died may hold its lease on a machine for up to five minutes: this one waits for it.
    Raises BuildFailed, FlyctlMissing, Canceled, CutOff or HandedOver.
    """
    order = _order(attempt, folder)
    until = time.monotonic() + _LONGEST_LEASE_SECONDS
    while True:
        outcome = _run(attempt, logbook, order)
        # What was not asked for may also be done: a deployment that ended well before it could be stopped has.
        if outcome.succeeded:
            return outcome.image or attempt.row.from_image
        if outcome.stopped in {StopReason.CUT_OFF, StopReason.CANCELED}:
            attempt.require_going()
            raise CutOff if outcome.stopped == StopReason.CUT_OFF else Canceled
        if outcome.failure != LEASE_HELD or time.monotonic() > until:
            raise BuildFailed(_reason(outcome))
        logbook.note_step("Waiting for an interrupted deployment to let go of the app…")
        logbook.flush()
        attempt.wait(_LEASE_PAUSE_SECONDS)


def _reason(outcome: Outcome) -> str:
    """Why it failed, for the person who pushed."""
    if outcome.stopped == StopReason.SILENT:
        return (
            f"The build was ended since it said nothing for {settings.BUILD_SILENCE_MINUTES} minutes. "
            "Let it print its progress, and push again."
        )
    if outcome.stopped == StopReason.TOO_LONG:
        return (
            f"The build was ended since it took more than {settings.BUILD_MINUTES} minutes. "
            "Make it shorter, and push again."
        )
    return outcome.failure or "The build failed; its log says why."


def _order(attempt: BuildAttempt, folder: Path) -> Order:
    build = attempt.row
    app = build.deployment.fly_app_id
    lasts = timedelta(minutes=settings.BUILD_MINUTES) + _TOKEN_LASTS_LONGER
    token = attempt.retry(lambda: Fly.from_settings().deploy_token(app, expiry=lasts))
    return Order(
        app=app,
        folder=folder,
        context=context_of(folder),
        config=config_of(folder),
        deploy_token=token,
        label=label_of(build.pk.hex),
        image=build.from_image or None,
        secrets_version=build.secrets_version,
    )


def _run(attempt: BuildAttempt, logbook: Logbook, order: Order) -> Outcome:
    """Run flyctl once, with an eye on the attempt."""
    limits = Limits(total=settings.BUILD_MINUTES * 60, silence=settings.BUILD_SILENCE_MINUTES * 60)
    steps, folder = StepReader(), str(order.folder)

    def on_line(line: str) -> None:
        # Where it lies on this machine is nobody's business.
        logbook.write(line.replace(folder, ""))
        logbook.note_step(steps.step)

    def should_stop() -> StopReason | None:
        logbook.flush_if_due()
        return _reason_to_stop(attempt)

    outcome = flyctl.run(order, on_line=on_line, should_stop=should_stop, limits=limits, reader=steps)
    if is_for_operators(outcome.failure):
        logger.warning("build %s: flyctl said: %s", attempt.row.pk, steps.error.replace(folder, ""))
    return outcome


def _reason_to_stop(attempt: BuildAttempt) -> StopReason | None:
    try:
        attempt.require_going()
    except Canceled:
        return StopReason.CANCELED
    except (CutOff, HandedOver):
        return StopReason.CUT_OFF
    return None
