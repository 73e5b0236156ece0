"""Noticing that jobs are due, and runs that nobody is at. Runs every few seconds on one of the workers."""

import logging
from datetime import datetime, timedelta

from django.db import transaction

from clouddev import schedules
from clouddev.models import CronJob, CronRun
from clouddev.services.cron import queue
from clouddev.services.cron.jobs import pause

logger = logging.getLogger(__name__)

_AT_ONCE = 500
# On one machine: more at a time are of no use when it can't keep up or doesn't answer, and keep others' waiting.
MOST_UNDER_WAY = 10
KEPT = timedelta(days=90)
BUSY = f"Not started: {MOST_UNDER_WAY} runs are still under way on this machine."


def tick(*, now: datetime) -> None:
    """Record a run of each job that is due, and give it to a worker. Can be repeated, and be done by several at once.

    Of the times that were missed while no worker ran, the first one is made up for.
    """
    due = CronJob.objects.filter(paused_at=None, next_run_at__lte=now).select_related("machine")
    for job in due.order_by("next_run_at")[:_AT_ONCE]:
        try:
            _fire(job, now)
        except schedules.BadTimeZone:
            pause(job=job, reason=f"There is no time zone {job.timezone} any more.", now=now)
        except Exception:
            # One job keeps no other from its time.
            logger.exception("cron job %s could not be started", job.pk)


def sweep(*, now: datetime) -> None:
    """Give runs whose next step is due to a worker: their job may be lost, or their worker gone."""
    for run_id in CronRun.objects.due(now=now).order_by("next_step_at").values_list("pk", flat=True)[:_AT_ONCE]:
        queue.enqueue(run_id)


def forget_old_runs(*, now: datetime) -> int:
    """Delete runs that ended long ago; says how many."""
    return CronRun.objects.filter(finished_at__lt=now - KEPT).delete()[0]


def _fire(job: CronJob, now: datetime) -> None:
    """Move the job on to its next time, and record the run of this one; only one of several workers succeeds."""
    due_at = job.next_run_at
    if due_at is None:
        return
    following = schedules.next_after(job.cron_expression, schedules.parse_timezone(job.timezone), now)
    with transaction.atomic():
        # Who has changed it meanwhile has given it another time, maybe.
        still_due = CronJob.objects.filter(pk=job.pk, paused_at=None, next_run_at=due_at, updated_at=job.updated_at)
        if not still_due.update(next_run_at=following):
            return
        run, made = CronRun.objects.get_or_create(
            job=job, due_at=due_at, defaults={"started_at": now, "next_step_at": now}
        )
        if not made:
            return
        if CronRun.objects.unfinished().filter(job__machine=job.machine_id).count() > MOST_UNDER_WAY:
            CronRun.objects.filter(pk=run.pk).update(state=CronRun.State.FAILED, error=BUSY, finished_at=now)
            return
        queue.enqueue(run.pk)
