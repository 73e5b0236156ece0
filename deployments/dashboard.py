"""What the operators' front page says about deployments."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from django.db.models import Count, Q
from django.db.models.functions import TruncDate
from django.urls import reverse
from django.utils.http import urlencode

from config.core.dashboard import CHART_DAYS, Bars, Chart, Figure, stacked_bars
from deployments.models import Build, Discrepancy

State = Build.State
_FAILED = (State.FAILED, State.INTERRUPTED)


def figures(*, now: datetime) -> list[Figure]:
    """Builds that run, builds that failed today, and what differs at Fly: two queries."""
    midnight = _midnight(now)
    counts = Build.objects.filter(Q(finished_at=None) | Q(finished_at__gte=midnight)).aggregate(
        running=Count("pk", filter=Q(state__in=[State.BUILDING, State.RELEASED], finished_at=None)),
        waiting=Count("pk", filter=Q(state=State.QUEUED)),
        failed=Count("pk", filter=Q(state__in=_FAILED)),
        ended=Count("pk", filter=Q(finished_at__gte=midnight)),
    )
    builds = reverse("admin:deployments_build_changelist")
    differing = Discrepancy.objects.count()
    return [
        Figure(
            title="Running builds",
            value=counts["running"],
            note=f"and {counts['waiting']} waiting",
            path=f"{builds}?standing=running",
            icon="construction",
        ),
        Figure(
            title="Failed builds today",
            value=counts["failed"],
            note=f"of {counts['ended']} that ended",
            path=f"{builds}?{urlencode({'standing': 'failed', 'finished_at__gte': midnight.isoformat()})}",
            icon="error",
            tone="danger" if counts["failed"] else "",
        ),
        Figure(
            title="Discrepancies",
            value=differing,
            note="between Fly and us",
            path=reverse("admin:deployments_discrepancy_changelist"),
            icon="difference",
            tone="warning" if differing else "",
        ),
    ]


def builds_by_day(*, now: datetime) -> Chart:
    """What became of the builds that ended on each of the last 14 days (UTC)."""
    today = _midnight(now)
    days = [(today - timedelta(days=back)).date() for back in reversed(range(CHART_DAYS))]
    counts = _ended_since(today - timedelta(days=CHART_DAYS - 1))

    def series(states: Iterable[str]) -> list[int]:
        return [sum(counts.get((day, state), 0) for state in states) for day in days]

    released, failed, canceled = series((State.LIVE, State.RELEASED)), series(_FAILED), series((State.CANCELED,))
    sentence = (
        f"{sum(released)} builds released, {sum(failed)} failed and {sum(canceled)} canceled "
        f"in the last {CHART_DAYS} days."
    )
    bars = [
        Bars("Released", released, "var(--color-primary-500)"),
        Bars("Failed", failed, "oklch(63% .19 25)"),
        Bars("Canceled", canceled, "var(--color-base-400)"),
    ]
    return stacked_bars(days=days, bars=bars, sentence=sentence)


def _midnight(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def _ended_since(start: datetime) -> dict[tuple[date, str], int]:
    rows = (
        Build.objects.filter(finished_at__gte=start)
        .order_by()
        .annotate(day=TruncDate("finished_at"))
        .values_list("day", "state")
        .annotate(number=Count("pk"))
    )
    return {(day, state): number for day, state, number in rows}
