"""What an app contributes to the operators' front page."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

import orjson
from django.db.models import Count, QuerySet
from django.db.models.functions import TruncDate

CHART_DAYS = 14
# Chart.js: numbers on top of each other, whole numbers at the side. The greys are readable on light and dark.
_CHART_OPTIONS = {
    "animation": False,
    "responsive": True,
    "maintainAspectRatio": False,
    "maxBarThickness": 22,
    "borderRadius": 3,
    "plugins": {"legend": {"align": "end", "labels": {"boxHeight": 8, "boxWidth": 8, "color": "#7b8494"}}},
    "scales": {
        "x": {"stacked": True, "grid": {"display": False}, "ticks": {"color": "#7b8494"}},
        "y": {
            "stacked": True,
            "beginAtZero": True,
            "border": {"display": False},
            "ticks": {"color": "#7b8494", "precision": 0},
        },
    },
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the front page: what it counts, what to know beside it, and where its rows are."""

    title: str
    value: int
    note: str
    path: str
    icon: str
    tone: Literal["", "warning", "danger"] = ""


@dataclass(frozen=True, slots=True)
class Bars:
    """One number for each day, and the CSS colour of its bars."""

    label: str
    numbers: Sequence[int]
    colour: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Numbers for each day, as the chart's script wants them and as a sentence for those who can't see it."""

    data: str
    options: str
    sentence: str


def midnight(now: datetime) -> datetime:
    """When the day began."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def chart_days(now: datetime) -> list[date]:
    """The days of a chart, the oldest first and today last."""
    return [(now - timedelta(days=back)).date() for back in reversed(range(CHART_DAYS))]


def counts_by_day(rows: QuerySet[Any], *, at: str, kind: str, now: datetime) -> Counter[tuple[date, str]]:
    """How many rows there are of each day of a chart and each value of the field `kind`; 0 of any other.

    `at` is the field that says when. One query.
    """
    start = midnight(now) - timedelta(days=CHART_DAYS - 1)
    found = (
        rows.filter(**{f"{at}__gte": start})
        .order_by()
        .annotate(day=TruncDate(at))
        .values_list("day", kind)
        .annotate(number=Count("pk"))
    )
    return Counter({(day, value): number for day, value, number in found})


def stacked_bars(*, days: Sequence[date], bars: Sequence[Bars], sentence: str) -> Chart:
    """A chart of several numbers for each of the days."""
    data = {
        "labels": [f"{day:%d %b}" for day in days],
        "datasets": [{"label": each.label, "data": each.numbers, "backgroundColor": each.colour} for each in bars],
    }
    return Chart(data=orjson.dumps(data).decode(), options=orjson.dumps(_CHART_OPTIONS).decode(), sentence=sentence)
