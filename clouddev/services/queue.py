"""Handing machines to the workers. A job only nudges: what is to be done stands in the rows."""

import uuid

from django.db import transaction
from procrastinate.contrib.django import app
from procrastinate.exceptions import AlreadyEnqueued

from config.core.jobs import LONG

WORK = "clouddev.work"


def enqueue(machine_id: uuid.UUID) -> None:
    """Have a worker make, undo or destroy the machine. Inside a transaction the job appears with its commit."""
    job = app.configure_task(WORK, queue=LONG, queueing_lock=f"machine:{machine_id}")
    try:
        with transaction.atomic():
            job.defer(machine_id=str(machine_id))
    except AlreadyEnqueued:
        return
