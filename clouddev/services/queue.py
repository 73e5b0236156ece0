"""Handing machines to the workers. A job carries an id; what is to be done is in the rows.

To make one takes minutes. So of one organization or person as many are made or removed at a time as leaves a slot to
others.
"""

import uuid
from datetime import timedelta

from django.conf import settings
from django.db.models import Count, Q

from clouddev.models import Machine
from core.queues import MACHINES, defer, under_way, worker_processes

WORK = "clouddev.work"
APPLY_DESIRED_STATE = "clouddev.apply_desired_state"
_LOOKS_AGAIN_AFTER = timedelta(seconds=3)


def enqueue(machine_id: uuid.UUID, *, after: timedelta = timedelta(0)) -> None:
    """Have a worker make, undo or destroy the machine. In a transaction the job appears with the commit."""
    defer(WORK, queue=MACHINES, lock=f"machine:{machine_id}", after=after, machine_id=machine_id)


def has_turn(*, job_id: int, machine_id: uuid.UUID) -> bool:
    """Whether this job may do its work beside what is under way for its machine's organization and owner.

    Else it comes again. Of two that meet the older one goes on. With a single slot that one is anybody's.
    """
    jobs = under_way(queue=MACHINES, before=job_id).filter(task_name=WORK)
    others = set(jobs.values_list("args__machine_id", flat=True)) - {str(machine_id)}
    most = max(1, settings.WORKER_CONCURRENCY * worker_processes() - 1)
    if len(others) < most:
        return True
    machine = Machine.objects.filter(pk=machine_id).only("owner", "organization").first()
    if machine is None:
        return True
    counted = Machine.objects.filter(pk__in=others).aggregate(
        of_organization=Count("pk", filter=Q(organization=machine.organization_id)),
        of_owner=Count("pk", filter=Q(owner=machine.owner_id)),
    )
    if max(counted.values()) < most:
        return True
    enqueue(machine_id, after=_LOOKS_AGAIN_AFTER)
    return False


def enqueue_desired_state(machine_id: uuid.UUID, *, after: timedelta = timedelta(0)) -> None:
    """Hand the machine's desired state to a worker, which asks Fly for it after a while."""
    defer(APPLY_DESIRED_STATE, queue=MACHINES, lock=f"desired-state:{machine_id}", after=after, machine_id=machine_id)
