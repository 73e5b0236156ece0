"""Which machines an operator looks for, and how many there are."""

from datetime import datetime, timedelta

from django.db.models import Count, Exists, OuterRef, Q, TextChoices

from clouddev.models import Machine, MachineCount
from fly.models import Discrepancy

IDLE_AFTER = timedelta(days=7)
State = Machine.State
# What should be at Fly and isn't, or the reverse, by the last comparison.
_ORPHANED = Exists(Discrepancy.objects.filter(fly_name=OuterRef("fly_app_id")))


class Kind(TextChoices):
    """What to look for."""

    RUNNING = "running", "Running"
    IDLE = "idle", f"Not used for {IDLE_AFTER.days} days"
    UNDER_WAY = "under-way", "Being made or removed"
    FAILED = "failed", "Failed"
    ORPHANED = "orphaned", "Orphaned: differs at Fly"
    KEPT = "kept", "Kept alive"


def machines_of_kind(kind: Kind, *, now: datetime) -> Q:
    """The machines of a kind, for a filter. Running is what Fly said when it was last heard."""
    match kind:
        case Kind.RUNNING:
            return Q(state=State.READY, fly_state__in=["started", "starting"])
        case Kind.IDLE:
            return Q(state=State.READY) & (
                Q(last_active_at__lt=now - IDLE_AFTER) | Q(last_active_at=None, created_at__lt=now - IDLE_AFTER)
            )
        case Kind.UNDER_WAY:
            return Q(state__in=[State.CREATING, State.UNDOING, State.DESTROYING])
        case Kind.FAILED:
            return Q(state__in=[State.FAILED, State.UNDOING])
        case Kind.ORPHANED:
            return Q(_ORPHANED)
        case Kind.KEPT:
            return Q(keep_alive_until__gt=now)


def differences_of(machine: Machine) -> list[Discrepancy]:
    """What the last comparison with Fly found about the machine's app."""
    return list(Discrepancy.objects.filter(fly_name=machine.fly_app_id))


def count_states(*, now: datetime) -> None:
    """Write down how many machines are in each state; of several times a day the last one stays."""
    running = machines_of_kind(Kind.RUNNING, now=now)
    states = {
        MachineCount.State.RUNNING: running,
        MachineCount.State.STOPPED: Q(state=State.READY) & ~running,
        MachineCount.State.CHANGING: Q(state__in=[State.CREATING, State.DESTROYING]),
        MachineCount.State.FAILED: machines_of_kind(Kind.FAILED, now=now),
    }
    counts = Machine.objects.aggregate(**{state.name: Count("pk", filter=wanted) for state, wanted in states.items()})
    MachineCount.objects.bulk_create(
        [MachineCount(day=now.date(), state=state, count=counts[state.name]) for state in states],
        update_conflicts=True,
        unique_fields=["day", "state"],
        update_fields=["count"],
    )
