"""Handing runs to the workers. A job carries an id; what is to be done is in the rows.

A step may wait for a machine that is slow. So of one machine one step is done at a time, of one organization or person
one less than the workers can do, and what somebody with many runs adds waits behind those that have few.
"""

import uuid
from datetime import UTC, datetime, timedelta

from django.db.models import Q
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from clouddev.models import CronRun
from core.queues import CRON, CRON_AT_ONCE, defer, under_way, worker_processes

CARRY_ON = "clouddev.carry_on_cron_run"
_LOOKS_AGAIN_AFTER = timedelta(seconds=3)
# What somebody's steps that wait count for, each: about as long as one takes at a machine that is slow.
_STEP_SECONDS = 3
# A job's priority is a number of 32 bits.
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def enqueue(run_id: uuid.UUID, *, after: timedelta = timedelta(0)) -> None:
    """Have a worker take the run's next step, after a while. Inside a transaction the job appears with its commit."""
    runs = CronRun.objects.filter(pk=run_id)
    place = runs.values_list("job__machine__organization", "job__machine__owner", "job__machine").first()
    if place is None:
        return
    organization, person, machine = place
    defer(
        CARRY_ON,
        queue=CRON,
        lock=f"cron-run:{run_id}",
        after=after,
        priority=_priority(_of(organization, person), due=timezone.now() + after),
        run_id=run_id,
        organization_id=organization,
        person_id=person,
        machine_id=machine,
    )


def _priority(theirs: Q, *, due: datetime) -> int:
    """The order in which jobs are taken: as they are due, each a few seconds later for every one of theirs that waits.

    So forty of one organization come after the first of another, and yet before what is due when they could have been
    done: whoever else has steps all the time keeps nobody waiting for ever.
    """
    todo = ProcrastinateJob.objects.filter(theirs, queue_name=CRON, status="todo")
    waiting = todo.filter(Q(scheduled_at=None) | Q(scheduled_at__lte=due)).count()
    return -int((due - _EPOCH).total_seconds() + _STEP_SECONDS * waiting)


def has_turn(*, job_id: int, run_id: uuid.UUID, organization_id: str, person_id: str, machine_id: str) -> bool:
    """Whether this job may take its step beside those under way for its machine, organization and person.

    Else it comes again. Of two that meet the older one goes on. One of the same run is no reason to wait: a killed
    worker left it, or the run's row lets one of the two take the step.
    """
    others = under_way(queue=CRON, before=job_id).exclude(args__run_id=str(run_id))
    most = max(1, CRON_AT_ONCE * worker_processes() - 1)
    if (
        others.filter(args__machine_id=machine_id).exists()
        or others.filter(args__organization_id=organization_id).count() >= most
        or others.filter(args__person_id=person_id).count() >= most
    ):
        enqueue(run_id, after=_LOOKS_AGAIN_AFTER)
        return False
    return True


def _of(organization: uuid.UUID, person: uuid.UUID) -> Q:
    return Q(args__organization_id=str(organization)) | Q(args__person_id=str(person))
