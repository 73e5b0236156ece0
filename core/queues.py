"""The queues of jobs, how work is handed to them, and whether any worker lives to do it."""

import math
import threading
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob, ProcrastinateWorker
from procrastinate.exceptions import AlreadyEnqueued

from core.database import fetch_row

# Each has slots of its own. Builds and machines take minutes, steps of cron jobs wait for machines that are strangers',
# and nothing of these may keep the upkeep waiting, by which lost work is found again.
QUEUES = BUILDS, MACHINES, CRON, SHORT = "builds", "machines", "cron", "short"
# Of one process. They wait for machines most of the time.
CRON_AT_ONCE = 3
# A worker that has said nothing for so long is dead: its jobs are given to others (core/tasks.py).
STALLED_SECONDS = 20.0
# Whom a job may wait for must have said something in the last two beats of a worker's, and some: see `under_way`.
_LIVES = timedelta(seconds=12)

# Longer than a release, a restart of the database or a frozen machine keeps workers away.
SILENT_AFTER = timedelta(minutes=2)
# A worker that ends well takes its rows along, one for each queue; what is due every few seconds tells when it was
# there. By the database's clock.
HEARD_SQL = """
SELECT heard.at, heard.at IS NULL OR heard.at < now() - %s, extract(epoch FROM now() - heard.at)::int,
       (SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat >= now() - %s)
  FROM (SELECT greatest(
               (SELECT max(last_heartbeat) FROM procrastinate_workers),
               (SELECT to_timestamp(max(defer_timestamp)) FROM procrastinate_periodic_defers)) AS at) heard
"""
HEARD_PARAMETERS = (SILENT_AFTER, SILENT_AFTER)

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
    """Queue the task of this name for a worker, to start after a while, with the ids as its arguments.

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


@dataclass(frozen=True, slots=True)
class Heard:
    """When any worker was heard of last, and whether that is too long ago to wait for one; how many live."""

    at: datetime | None
    is_silence: bool
    seconds_ago: int | None
    count: int


def heard_of(row: tuple[Any, ...] | None) -> Heard:
    """What a row of HEARD_SQL says."""
    at, is_silence, seconds_ago, rows = row or (None, True, None, 0)
    return Heard(at, is_silence, seconds_ago, -(-rows // len(QUEUES)))


def workers_are_silent() -> bool:
    """Whether no worker has been heard of for two minutes. One query."""
    return heard_of(fetch_row(HEARD_SQL, HEARD_PARAMETERS)).is_silence
