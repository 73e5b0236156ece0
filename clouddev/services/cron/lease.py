"""Taking a step of a run: by a conditional update, so that of several workers one does it.

A step asks for some seconds of everything outside; a worker that has not finished it long after is gone, and
another one goes on. Should the first one wake up all the same, nothing it writes arrives.
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

logger = logging.getLogger(__name__)

# Several times what all questions of a step may take together, and longer than a write waits for the database.
LASTS = timedelta(minutes=2)
_PATIENCE_SECONDS = 60.0
State = CronRun.State


class Lost(Exception):
    """The step is no longer this worker's, or the run is over or deleted."""


class StepLease:
    """The right to take one step of a run, as it was given."""

    def __init__(self, run: CronRun, *, now: datetime) -> None:
        self.run, self.now = run, now

    def write(self, **values: Any) -> None:
        """Write to the run, once the database can be reached. Raises Lost."""
        # What was learned from the machine can't be asked for again.
        if not outlast_restarts(lambda: self._mine().update(**values), seconds=_PATIENCE_SECONDS):
            raise Lost

    def later(self, after: timedelta, **values: Any) -> None:
        """End this step; the next one follows after a while. Raises Lost."""
        self.write(next_step_at=self.now + after, **values)
        queue.enqueue(self.run.pk, after=after)

    def end(self, state: CronRun.State, error: str = "", **values: Any) -> None:
        """End the run. Raises Lost."""
        self.write(state=state, error=error[:LONGEST_ERROR], finished_at=self.now, **values)
        logger.info("cron run %s %s", self.run.pk, state)

    def _mine(self) -> Any:
        return CronRun.objects.unfinished().filter(pk=self.run.pk, step=self.run.step)


def take(run_id: uuid.UUID, *, now: datetime) -> StepLease | None:
    """The run's next step; None when it isn't time for one, somebody is at it, or the run is over."""
    due = CronRun.objects.due(now=now).filter(pk=run_id)
    run = due.select_related("job__machine__organization", "job__created_by").first()
    if run is None:
        return None
    if not due.filter(step=run.step).update(step=F("step") + 1, next_step_at=now + LASTS):
        return None
    run.step += 1
    return StepLease(run, now=now)
