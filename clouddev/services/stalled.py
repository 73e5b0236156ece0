"""Ending the wait of new machines where no worker runs: the next person or tool that asks for the status does.

What an attempt before may have made is undone as soon as there is a worker. One that comes back in the same moment
takes the machine by a conditional UPDATE, too, and whichever is first has it.
"""

from datetime import datetime

from django.db import transaction
from django.db.models import F, Q

from accounts import audit
from clouddev.models import Machine
from clouddev.services import kept_env, queue
from core.queues import SILENT_AFTER, workers_are_silent

NO_WORKER = "No worker is running that could make the workspace. Create it again later, or tell an operator."
State = Machine.State


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
            organization_id=machine.organization_id,
            details={"fly_app": machine.fly_app_id, "error": NO_WORKER},
        )
        queue.enqueue(machine.pk)
    return True
