"""Running flyctl and looking for what it may have left behind."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from fly.clients import flyctl
from fly.clients.flyctl import Limits, Order, Outcome, StopReason

LIMITS = Limits(total=30, silence=30, grace=2, patience=20)


def run(
    order: Order,
    *,
    limits: Limits = LIMITS,
    stop_at: str = "",
    reason: StopReason = StopReason.CANCELED,
) -> tuple[Outcome, list[str]]:
    """Run it; once a line has `stop_at` in it, it is to stop for the reason."""
    lines: list[str] = []

    def should_stop() -> StopReason | None:
        return reason if stop_at and any(stop_at in line for line in lines) else None

    return flyctl.run(order, on_line=lines.append, should_stop=should_stop, limits=limits), lines


def processes_in(folder: Path) -> list[int]:
    """The processes that name the folder in their command line or environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            said = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in said:
            found.append(int(entry.name))
    return found


def wait_until(true: Callable[[], bool], *, seconds: float = 30) -> bool:
    """Whether it came true in time."""
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True
