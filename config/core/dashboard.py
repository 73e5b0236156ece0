"""What an app contributes to the operators' front page."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the front page: what it counts, what to know beside it, and where its rows are."""

    title: str
    value: int
    note: str
    path: str
    icon: str
    tone: Literal["", "warning", "danger"] = ""
