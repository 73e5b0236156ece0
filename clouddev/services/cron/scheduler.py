"""Noticing that jobs are due, and runs that nobody is at. Runs every few seconds on one of the workers."""

import logging
import uuid
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, QuerySet

from clouddev import cron_expressions
from clouddev.models import CronJob, CronRun, Machine
from clouddev.services.cron import queue
from clouddev.services.cron.jobs import pause
from core.database import delete_in_batches

logger = logging.getLogger(__name__)

_AT_ONCE = 500
# On one machine: more at a time are of no use when it can't keep up or doesn't answer, and keep others' waiting.
MOST_UNDER_WAY = 10
KEPT = timedelta(days=90)


def tick(*, now: datetime) -> None:
    """Record a run of each job that is due, and give it to a worker. Can be repeated, and be done by several at once.

    Of the times that were missed while no worker ran, or while the machine had enough to do, the first one is made up
    for.
    """
    # A list: of a subquery the database reads all of it for each job, once it is long.
    occupied = list(_occupied())
    for job in CronJob.objects.due(now=now).exclude(machine__in=occupied).order_by("next_run_at", "pk")[:_AT_ONCE]:
        try:
            _fire(job, now)
        except cron_expressions.BadTimeZone:
            pause(job=job, reason=f"There is no time zone {job.timezone} any more.", now=now)
        except Exception:
            # One job keeps no other from its time.
            logger.exception("cron job %s could not be started", job.pk)


def sweep(*, now: datetime) -> None:
    """Give runs whose next step is due to a worker: their job may be lost, or their worker gone."""
    for run_id in CronRun.objects.due(now=now).order_by("next_step_at", "pk").values_list("pk", flat=True)[:_AT_ONCE]:
        queue.enqueue(run_id)


def forget_old_runs(*, now: datetime) -> int:
    """Delete runs that ended long ago; says how many."""
    return delete_in_batches(CronRun.objects.filter(finished_at__lt=now - KEPT))


def _occupied() -> QuerySet[CronRun, uuid.UUID]:
    """Machines that have as many runs under way as they may; their jobs stay due, and keep nobody's waiting."""
    counted = CronRun.objects.unfinished().values("job__machine").annotate(count=Count("pk"))
    return counted.filter(count__gte=MOST_UNDER_WAY).values_list("job__machine", flat=True)


def _fire(job: CronJob, now: datetime) -> None:
    """Move the job on to its next time, and record the run of this one; only one of several workers succeeds."""
    due_at = job.next_run_at
    if due_at is None:
        return
    following = cron_expressions.next_after(job.cron_expression, cron_expressions.parse_timezone(job.timezone), now)
    with transaction.atomic():
        # Runs are counted and made behind this lock, so that jobs that are due at once can't pass the limit.
        Machine.objects.select_for_update(no_key=True).filter(pk=job.machine_id).first()
        if CronRun.objects.unfinished().filter(job__machine=job.machine_id).count() >= MOST_UNDER_WAY:
            return
        # Who has changed it meanwhile has given it another time, maybe.
        still_due = CronJob.objects.due(now=now).filter(pk=job.pk, next_run_at=due_at, updated_at=job.updated_at)
        if not still_due.update(next_run_at=following):
            return
        run, made = CronRun.objects.get_or_create(
            job=job, due_at=due_at, defaults={"started_at": now, "next_step_at": now}
        )
        if made:
            queue.enqueue(run.pk)
