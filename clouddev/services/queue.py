"""Handing machines to the workers, and ending the wait of new ones where no worker runs.

A job carries an id; what is to be done is in the rows. To make a machine takes minutes. So of one organization or
person as many are made or removed at a time as leaves a slot to others.

Where no worker runs, the next person or tool that asks for a new machine's status ends its making; what an attempt
before may have made is undone as soon as there is a worker. One that comes back in the same moment takes the machine by
a conditional UPDATE, too, and whichever is first has it.
"""

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Q

from accounts import audit
from clouddev.models import Machine
from clouddev.services import kept_env
from core.queues import MACHINES, SILENT_AFTER, defer, under_way, worker_processes, workers_are_silent

WORK = "clouddev.work"
APPLY_DESIRED_STATE = "clouddev.apply_desired_state"
NO_WORKER = "No worker is running that could make the workspace. Create it again later, or tell an operator."
_LOOKS_AGAIN_AFTER = timedelta(seconds=3)
State = Machine.State


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


def end_if_stalled(*, machine: Machine, now: datetime) -> bool:
    """End the making of one that nobody has been at for two minutes, without any worker's sign of life.

    Says whether that was so; `machine` is then as it has become. Nothing is asked about others.
    """
    since = machine.heartbeat_at or machine.created_at
    if machine.state != State.CREATING or now - since <= SILENT_AFTER:
        return False
    if not workers_are_silent() or not _end(machine, now):
        return False
    machine.refresh_from_db(fields=["state", "step", "error"])
    return True


def _end(machine: Machine, now: datetime) -> bool:
    nobody_there = Q(heartbeat_at=None) | Q(heartbeat_at__lt=now - SILENT_AFTER)
    with transaction.atomic():
        waiting = Machine.objects.filter(nobody_there, pk=machine.pk, state=State.CREATING, attempt=machine.attempt)
        if not waiting.update(
            state=State.UNDOING, error=NO_WORKER, step="", heartbeat_at=None,
            attempts_before=F("attempt"), **kept_env.kept_after_failure(now=now),
        ):  # fmt: skip
            return False
        audit.record(
            "machine.failed",
            actor=None,
            target=machine,
            details={"fly_app": machine.fly_app_id, "error": NO_WORKER},
        )
        enqueue(machine.pk)
    return True
