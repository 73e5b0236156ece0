"""What the operators' front page says about machines."""

from datetime import datetime

from django.db.models import Count
from django.template.defaultfilters import pluralize
from django.urls import reverse

from accounts.models import AuditEvent
from clouddev.models import Machine, MachineCount
from clouddev.services.filters import Kind, machines_of_kind
from core.dashboard import CHART_DAYS, Bars, Chart, Figure, chart_days, counts_by_day, stacked_bars

_EVENTS = {
    "machine.created": ("Made", "var(--color-primary-500)"),
    "machine.failed": ("Failed", "oklch(63% .19 25)"),
    "machine.destroyed": ("Destroyed", "var(--color-base-400)"),
}
_STATES: dict[str, tuple[str, str]] = {
    MachineCount.State.RUNNING: ("Running", "var(--color-primary-500)"),
    MachineCount.State.STOPPED: ("Stopped", "var(--color-base-400)"),
    MachineCount.State.CHANGING: ("Being made or removed", "oklch(75% .15 75)"),
    MachineCount.State.FAILED: ("Failed", "oklch(63% .19 25)"),
}


def figures(*, now: datetime) -> list[Figure]:
    """Machines that run, that failed, and that nobody uses: one query."""
    kinds = (Kind.RUNNING, Kind.UNDER_WAY, Kind.FAILED, Kind.IDLE)
    wanted = {kind.name: Count("pk", filter=machines_of_kind(kind, now=now)) for kind in kinds}
    counts = Machine.objects.aggregate(ALL=Count("pk"), **wanted)
    return [
        Figure(
            title="Running workspaces",
            value=counts["RUNNING"],
            note=f"of {counts['ALL']}; {counts['UNDER_WAY']} being made or removed",
            path=_list_of(Kind.RUNNING),
            icon="computer",
        ),
        Figure(
            title="Failed workspaces",
            value=counts["FAILED"],
            note="could not be made",
            path=_list_of(Kind.FAILED),
            icon="desktop_access_disabled",
            tone="danger" if counts["FAILED"] else "",
        ),
        Figure(
            title="Idle workspaces",
            value=counts["IDLE"],
            note="not used for 7 days",
            path=_list_of(Kind.IDLE),
            icon="bedtime",
            tone="warning" if counts["IDLE"] else "",
        ),
    ]


def machines_by_day(*, now: datetime) -> Chart:
    """Machines made, failed and destroyed on each of the last 14 days (UTC), from the audit trail."""
    days = chart_days(now)
    counts = counts_by_day(AuditEvent.objects.filter(action__in=_EVENTS), at="at", kind="action", now=now)
    series = {action: [counts[day, action] for day in days] for action in _EVENTS}
    made, failed, destroyed = (sum(numbers) for numbers in series.values())
    counted = f"{made} workspace{pluralize(made)} made, {failed} failed and {destroyed} destroyed"
    sentence = f"{counted} in the last {CHART_DAYS} days."
    bars = [Bars(label, series[action], colour) for action, (label, colour) in _EVENTS.items()]
    return stacked_bars(days=days, bars=bars, sentence=sentence)


def machines_by_state(*, now: datetime) -> Chart:
    """How many machines there were in each state on each of the last 14 days (UTC), as they were last counted."""
    days = chart_days(now)
    rows = MachineCount.objects.filter(day__gte=days[0]).values_list("day", "state", "count")
    counts = {(day, state): count for day, state, count in rows}
    bars = [
        Bars(label, [counts.get((day, state), 0) for day in days], colour) for state, (label, colour) in _STATES.items()
    ]
    words = [f"{each.numbers[-1]} {each.label.lower()}" for each in bars]
    sentence = f"Workspaces today: {', '.join(words[:-1])} and {words[-1]}."
    return stacked_bars(days=days, bars=bars, sentence=sentence)


def _list_of(kind: Kind) -> str:
    return f"{reverse('admin:clouddev_machine_changelist')}?what={kind.value}"
