"""What an app contributes to the operators' front page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import orjson

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


def stacked_bars(*, days: Sequence[date], bars: Sequence[Bars], sentence: str) -> Chart:
    """A chart of several numbers for each of the days."""
    data = {
        "labels": [f"{day:%d %b}" for day in days],
        "datasets": [{"label": each.label, "data": each.numbers, "backgroundColor": each.colour} for each in bars],
    }
    return Chart(data=orjson.dumps(data).decode(), options=orjson.dumps(_CHART_OPTIONS).decode(), sentence=sentence)
