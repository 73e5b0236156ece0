"""What the operators' front page says about deployments."""

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Count, Q
from django.template.defaultfilters import pluralize
from django.urls import reverse
from django.utils.http import urlencode

from core.dashboard import CHART_DAYS, Bars, Chart, Figure, chart_days, counts_by_day, midnight, stacked_bars
from core.database import fetch_row
from core.queues import HEARD_PARAMETERS, HEARD_SQL, Heard, heard_of
from deployments.models import Build

State = Build.State
# One statement for the two, since the front page asks enough of them.
_DIFFERING_AND_HEARD = f"""
SELECT (SELECT count(*) FROM fly_discrepancy), heard.* FROM ({HEARD_SQL}) heard
"""  # noqa: S608 - constants
_FAILED = (State.FAILED, State.INTERRUPTED)


def figures(*, now: datetime) -> list[Figure]:
    """Builds that run, builds that failed today, what differs at Fly, and whether workers are there: two queries."""
    today = midnight(now)
    counts = Build.objects.filter(Q(finished_at=None) | Q(finished_at__gte=today)).aggregate(
        running=Count("pk", filter=Q(state__in=[State.BUILDING, State.RELEASED], finished_at=None)),
        waiting=Count("pk", filter=Q(state=State.QUEUED)),
        failed=Count("pk", filter=Q(state__in=_FAILED)),
        ended=Count("pk", filter=Q(finished_at__gte=today)),
    )
    builds = reverse("admin:deployments_build_changelist")
    differing, *heard = fetch_row(_DIFFERING_AND_HEARD, HEARD_PARAMETERS) or (0,)
    return [
        Figure(
            title="Running builds",
            value=counts["running"],
            note=f"and {counts['waiting']} waiting",
            path=f"{builds}?group=running",
            icon="construction",
        ),
        Figure(
            title="Failed builds today",
            value=counts["failed"],
            note=f"of {counts['ended']} that ended",
            path=f"{builds}?{urlencode({'group': 'failed', 'finished_at__gte': today.isoformat()})}",
            icon="error",
            tone="danger" if counts["failed"] else "",
        ),
        Figure(
            title="Discrepancies",
            value=differing,
            note="between Fly and us",
            path=reverse("admin:fly_discrepancy_changelist"),
            icon="difference",
            tone="warning" if differing else "",
        ),
        _workers(heard_of(tuple(heard) or None)),
    ]


def _workers(heard: Heard) -> Figure:
    """How many workers there are; in red where what waits will not be done."""
    return Figure(
        title="Workers",
        value=heard.count,
        note="No build worker is running: start one." if heard.is_silence else f"heard of {heard.seconds_ago} s ago",
        path=reverse("admin:procrastinate_procrastinatejob_changelist"),
        icon="engineering",
        tone="danger" if heard.is_silence else "",
    )


def builds_by_day(*, now: datetime) -> Chart:
    """What became of the builds that ended on each of the last 14 days (UTC)."""
    days = chart_days(now)
    counts = counts_by_day(Build.objects.all(), at="finished_at", kind="state", now=now)

    def series(states: Iterable[str]) -> list[int]:
        return [sum(counts[day, state] for state in states) for day in days]

    released, failed, canceled = series((State.LIVE, State.RELEASED)), series(_FAILED), series((State.CANCELED,))
    sentence = (
        f"{sum(released)} build{pluralize(sum(released))} released, {sum(failed)} failed and {sum(canceled)} canceled "
        f"in the last {CHART_DAYS} days."
    )
    bars = [
        Bars("Released", released, "var(--color-primary-500)"),
        Bars("Failed", failed, "oklch(63% .19 25)"),
        Bars("Canceled", canceled, "var(--color-base-400)"),
    ]
    return stacked_bars(days=days, bars=bars, sentence=sentence)
