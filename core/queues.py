"""The queues of jobs, how work is handed to them, and whether this worker process is to end."""

import math
import threading
import uuid
from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob, ProcrastinateWorker
from procrastinate.exceptions import AlreadyEnqueued

# Each has slots of its own. Builds and machines take minutes, steps of cron jobs wait for machines that are strangers',
# and nothing of these may keep the upkeep waiting, by which lost work is found again.
QUEUES = BUILDS, MACHINES, CRON, SHORT = "builds", "machines", "cron", "short"
# Of one process. They wait for machines most of the time.
CRON_AT_ONCE = 3
# A worker that has said nothing for so long is dead: its jobs are given to others (core/tasks.py).
STALLED_SECONDS = 20.0
# Whom a job may wait for must have said something in the last two beats of a worker's, and some: see `under_way`.
_LIVES = timedelta(seconds=12)

# Set when the process is told to stop. Long jobs look at it, and leave what they are at to another worker.
stopping = threading.Event()


def worker_processes() -> int:
    """How many worker processes live; one where none does, or the first one has only begun."""
    since = timezone.now() - timedelta(seconds=STALLED_SECONDS)
    alive = ProcrastinateWorker.objects.filter(last_heartbeat__gt=since).count()
    return max(1, alive // len(QUEUES))


def under_way(*, queue: str, before: int) -> QuerySet[ProcrastinateJob]:
    """The jobs of a queue that a living worker is at, and that are older than the one with this number.

    Of two that begin at once the older one sees nothing of the other. What a killed worker was at counts no longer
    than it takes to miss its heartbeat, well before its jobs are given to others.
    """
    at_work = ProcrastinateJob.objects.filter(queue_name=queue, status="doing", pk__lt=before)
    return at_work.filter(worker__last_heartbeat__gt=Now() - _LIVES)


def defer(
    task: str, *, queue: str, lock: str, after: timedelta = timedelta(0), priority: int = 0, **ids: uuid.UUID
) -> None:
    """Have a worker carry out the task of this name, after a while, with the ids as its arguments.

    Does nothing while a job with the same `lock` waits. Jobs with a higher priority come first. Inside a transaction
    the job appears with its commit.
    """
    seconds = math.ceil(after.total_seconds())
    job = app.configure_task(
        task,
        queue=queue,
        queueing_lock=lock,
        priority=priority,
        schedule_in={"seconds": seconds} if seconds else None,
    )
    try:
        # Within a savepoint: the refusal must not end the caller's transaction.
        with transaction.atomic():
            job.defer(**{name: str(value) for name, value in ids.items()})
    except AlreadyEnqueued:
        return
