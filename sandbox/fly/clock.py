"""Two times: the one on the wall, and the pace at which machines change.

What Fly needs seconds for (booting, stopping, destroying) passes at the pace, which a factor speeds
up: 1 is about Fly's own, 0 stands still. Leases, tokens and time limits of waits go by the wall.
"""

import heapq
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

Act = Callable[[], None]


class Clock:
    """The time of one stand-in, and what is still to happen in it."""

    def __init__(self, *, factor: float) -> None:
        """Begin now; the pace counts from zero."""
        self.factor = factor
        self._ahead = timedelta()
        self._pace = 0.0
        self._looked_at = time.monotonic()
        self._moment: float | None = None
        self._last_number = 0
        self._due: list[tuple[float, int, Act]] = []

    def __getstate__(self) -> dict[str, Any]:
        """Give what is kept when the process ends: the pace stands still until another one goes on."""
        self._catch_up()
        return vars(self).copy()

    def __setstate__(self, kept: dict[str, Any]) -> None:
        """Go on with what was kept."""
        vars(self).update(kept)
        self._looked_at = time.monotonic()

    def now(self) -> datetime:
        """Give the time on the wall, in UTC, with what was skipped."""
        return datetime.now(tz=UTC) + self._ahead

    def turn(self, *, factor: float | None = None, advance: float = 0.0) -> None:
        """Change the factor from now on, and skip `advance` seconds of both times."""
        self._catch_up()
        if factor is not None:
            self.factor = factor
        self._ahead += timedelta(seconds=advance)
        self._pace += advance
        self.settle()

    def after(self, seconds: float, act: Act) -> None:
        """Let `act` happen when `seconds` of the pace have passed: a partial or a method, so that it can be kept."""
        self._catch_up()
        since = self._pace if self._moment is None else self._moment
        self._last_number += 1
        heapq.heappush(self._due, (since + seconds, self._last_number, act))

    def pace(self) -> float:
        """Give the seconds of the pace that have passed; inside an act, those at which it was due."""
        self._catch_up()
        return self._pace if self._moment is None else self._moment

    def settle(self) -> None:
        """Let everything happen that is due, in its order."""
        self._catch_up()
        while self._due and self._due[0][0] <= self._pace:
            self._moment, _, act = heapq.heappop(self._due)
            try:
                act()
            finally:
                self._moment = None

    def _catch_up(self) -> None:
        real = time.monotonic()
        self._pace += (real - self._looked_at) * self.factor
        self._looked_at = real


def spelled(moment: datetime) -> str:
    """Spell a moment as Fly does: 2026-01-02T03:04:05Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def spelled_finely(moment: datetime) -> str:
    """Spell a moment with microseconds: 2026-01-02T03:04:05.000006Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read(text: str) -> datetime:
    """Read a moment in RFC 3339. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
