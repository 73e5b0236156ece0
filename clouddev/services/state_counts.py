"""Counting machines by their state, for the operators' chart."""

from datetime import datetime

from django.db.models import Count, Q

from clouddev.models import Machine, MachineCount
from clouddev.services.filters import Kind, machines_of_kind

_READY = Q(state=Machine.State.READY)


def count_states(*, now: datetime) -> None:
    """Write down how many machines are in each state; of several times a day the last one stays."""
    running = machines_of_kind(Kind.RUNNING, now=now)
    states = {
        MachineCount.State.RUNNING: running,
        MachineCount.State.STOPPED: _READY & ~running,
        MachineCount.State.CHANGING: Q(state__in=[Machine.State.CREATING, Machine.State.DESTROYING]),
        MachineCount.State.FAILED: machines_of_kind(Kind.FAILED, now=now),
    }
    counts = Machine.objects.aggregate(**{state.name: Count("pk", filter=wanted) for state, wanted in states.items()})
    MachineCount.objects.bulk_create(
        [MachineCount(day=now.date(), state=state, count=counts[state.name]) for state in states],
        update_conflicts=True,
        unique_fields=["day", "state"],
        update_fields=["count"],
    )
