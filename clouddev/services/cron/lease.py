"""The lease of one step of a run: raising the run's `step` takes it, and for two minutes nobody else may.

A step asks for some seconds of everything outside; a worker that has not finished it long after is gone, and
another one goes on. So no heartbeat is needed.
"""

import logging
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F

from clouddev.models import CronRun
from clouddev.models.cron import LONGEST_ERROR
from clouddev.services.cron import queue
from core.database import outlast_restarts
from core.leases import Lease

logger = logging.getLogger(__name__)

# Several times what all questions of a step may take together, and longer than a write waits for the database.
LASTS = timedelta(minutes=2)
_PATIENCE_SECONDS = 60.0


def take(run_id: uuid.UUID, *, now: datetime) -> "StepLease | None":
    """The run's next step; None when it isn't time for one, somebody is at it, or the run is over."""
    due = CronRun.objects.due(now=now).filter(pk=run_id)
    run = due.select_related("job__machine__organization", "job__created_by").first()
    if run is None:
        return None
    if not due.filter(step=run.step).update(step=F("step") + 1, next_step_at=now + LASTS):
        return None
    run.step += 1
    return StepLease(run, now=now)


class StepLease(Lease[CronRun]):
    """The right to take one step of a run, as it was given; lost when the run is over or deleted, too."""

    def __init__(self, run: CronRun, *, now: datetime) -> None:
        super().__init__(run, mine=CronRun.objects.unfinished().filter(pk=run.pk, step=run.step))
        self.now = now

    def write(self, **values: Any) -> None:
        """Write to the run, once the database can be reached. Raises LeaseLost."""
        # What was learned from the machine can't be asked for again.
        outlast_restarts(lambda: self.update_now(**values), seconds=_PATIENCE_SECONDS)

    def later(self, after: timedelta, **values: Any) -> None:
        """End this step; the next one follows after a while. Raises LeaseLost."""
        self.write(next_step_at=self.now + after, **values)
        queue.enqueue(self.row.pk, after=after)

    def end(self, state: CronRun.State, error: str = "", **values: Any) -> None:
        """End the run. Raises LeaseLost."""
        self.write(state=state, error=error[:LONGEST_ERROR], finished_at=self.now, **values)
        logger.info("cron run %s %s", self.row.pk, state)
