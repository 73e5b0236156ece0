"""Measures how long something takes on a machine that has much else to do."""

import time
from types import TracebackType
from typing import Self

_PIECE_SECONDS = 0.02


class Stopwatch:
    """Times a block: `seconds` is by the clock on the wall, `at_ease` what it had been at most were nobody else here.

    A lower bound is one of `seconds`, an upper one of `at_ease`: by the clock anything takes long on a busy machine.
    """

    seconds = 0.0
    at_ease = 0.0

    def __enter__(self) -> Self:
        self._slowness = times_as_long()
        self._began = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds = time.monotonic() - self._began
        self.at_ease = self.seconds / max(1.0, self._slowness, times_as_long())


def times_as_long() -> float:
    """How many times as long as by itself a piece of work takes now, since others work on this machine, too."""
    began, worked = time.monotonic(), time.thread_time()
    while time.thread_time() < worked + _PIECE_SECONDS:
        pass
    return (time.monotonic() - began) / (time.thread_time() - worked)
