"""Handing builds to the workers, and ending those that wait where no worker runs.

A job carries an id; what is to be done is in the rows. Where no worker runs, the next person or tool that asks for a
build's status ends it. A worker that comes back in the same moment takes the build by a conditional UPDATE, too:
whichever of the two is first has it, and the other finds it taken.
"""

import uuid
from datetime import datetime, timedelta

from django.db import transaction

from accounts import audit
from core.queues import BUILDS, SHORT, SILENT_AFTER, defer, workers_are_silent
from deployments.models import Build

RUN_BUILD = "deployments.run_build"
RECHECK = "deployments.recheck"
NO_WORKER = "No build worker is running. Push again later, or tell an operator."
State = Build.State


def enqueue(build_id: uuid.UUID) -> None:
    """Hand the build to a worker. In a transaction the job appears with the commit; a second call adds none."""
    defer(RUN_BUILD, queue=BUILDS, lock=f"build:{build_id}", build_id=build_id)


def recheck_later(build_id: uuid.UUID, *, after: timedelta) -> None:
    """Hand a released app to a worker, which asks after a while whether it answers. Otherwise like `enqueue`."""
    defer(RECHECK, queue=SHORT, lock=f"recheck:{build_id}", after=after, build_id=build_id)


def end_if_stalled(*, build_id: uuid.UUID, state: str, accepted_at: datetime | None, now: datetime) -> bool:
    """End a build that has waited for two minutes without any worker's sign of life; says whether that was so.

    Nothing is asked about one that isn't waiting, or hasn't for so long.
    """
    if state != State.QUEUED or accepted_at is None or now - accepted_at <= SILENT_AFTER:
        return False
    return workers_are_silent() and _end(build_id, now)


def _end(build_id: uuid.UUID, now: datetime) -> bool:
    with transaction.atomic():
        waiting = Build.objects.waiting().filter(pk=build_id, finished_at=None)
        # Its archive goes with the next sweep.
        if not waiting.update(state=State.INTERRUPTED, error=NO_WORKER, finished_at=now, sealed_environment=None):
            return False
        build = Build.objects.select_related("deployment", "pushed_by").defer("sealed_environment").get(pk=build_id)
        audit.record(
            "build.interrupted",
            actor=build.pushed_by,
            target=build,
            details={"app": build.deployment.app_name, "error": NO_WORKER},
        )
    return True
