"""Badges: how something is, in a word and a colour, for pages and the operators' admin."""

from dataclasses import dataclass
from typing import Literal

Tone = Literal["good", "bad", "warn", "going", "plain"]


@dataclass(frozen=True, slots=True)
class Badge:
    """A word for a badge, and the colour it has."""

    word: str
    tone: Tone
