"""Handing runs to the workers. A job only nudges: what is to be done stands in the rows."""

import uuid
from datetime import timedelta

from config.core.jobs import CRON, nudge

CARRY_ON = "clouddev.carry_on_cron_run"


def enqueue(run_id: uuid.UUID, *, after: timedelta = timedelta(0)) -> None:
    """Have a worker take the run's next step, after a while. Inside a transaction the job appears with its commit."""
    nudge(CARRY_ON, queue=CRON, lock=f"cron-run:{run_id}", after=after, run_id=run_id)
