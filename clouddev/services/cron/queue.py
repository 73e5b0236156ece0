"""Handing runs to the workers. A job only nudges: what is to be done stands in the rows.

A step may wait for a machine that is slow. So of one machine one step is done at a time, of one organization one
less than the workers can do, and what an organization with many runs adds waits behind those that have few.
"""

import uuid
from datetime import timedelta

from django.db.models import QuerySet
from procrastinate.contrib.django.models import ProcrastinateJob

from clouddev.models import CronRun
from config.core.jobs import CRON, CRON_AT_ONCE, nudge, worker_processes

CARRY_ON = "clouddev.carry_on_cron_run"
_LOOKS_AGAIN_AFTER = timedelta(seconds=3)


def enqueue(run_id: uuid.UUID, *, after: timedelta = timedelta(0)) -> None:
    """Have a worker take the run's next step, after a while. Inside a transaction the job appears with its commit."""
    runs = CronRun.objects.filter(pk=run_id).values_list("job__machine__organization", "job__machine")
    place = runs.first()
    if place is None:
        return
    organization, machine = place
    waiting = _jobs(status="todo", organization_id=organization).count()
    nudge(
        CARRY_ON,
        queue=CRON,
        lock=f"cron-run:{run_id}",
        after=after,
        priority=-waiting,
        run_id=run_id,
        organization_id=organization,
        machine_id=machine,
    )


def has_turn(*, job_id: int, run_id: uuid.UUID, organization_id: str, machine_id: str) -> bool:
    """Whether this job may take its step beside those under way for its machine and organization; else it comes again.

    The older job goes on, so that of two that meet one does. One of the same run is no reason to wait: a killed worker
    left it, or the run's row lets one of the two take the step.
    """
    older = _jobs(status="doing", organization_id=organization_id).filter(pk__lt=job_id)
    under_way = older.exclude(args__run_id=str(run_id))
    most = max(1, CRON_AT_ONCE * worker_processes() - 1)
    if under_way.filter(args__machine_id=machine_id).exists() or under_way.count() >= most:
        enqueue(run_id, after=_LOOKS_AGAIN_AFTER)
        return False
    return True


def _jobs(*, status: str, organization_id: object) -> QuerySet[ProcrastinateJob]:
    found = ProcrastinateJob.objects.filter(queue_name=CRON, status=status)
    return found.filter(args__organization_id=str(organization_id))
