"""Handing runs to the workers. A job only nudges: what is to be done stands in the rows."""

import math
import uuid
from datetime import timedelta

from django.db import transaction
from procrastinate.contrib.django import app
from procrastinate.exceptions import AlreadyEnqueued

from config.core.jobs import SHORT

CARRY_ON = "clouddev.carry_on_cron_run"


def enqueue(run_id: uuid.UUID, *, after: timedelta = timedelta(0)) -> None:
    """Have a worker take the run's next step, after a while. Inside a transaction the job appears with its commit."""
    seconds = math.ceil(after.total_seconds())
    job = app.configure_task(
        CARRY_ON,
        queue=SHORT,
        queueing_lock=f"cron-run:{run_id}",
        schedule_in={"seconds": seconds} if seconds else None,
    )
    try:
        with transaction.atomic():
            job.defer(run_id=str(run_id))
    except AlreadyEnqueued:
        return
