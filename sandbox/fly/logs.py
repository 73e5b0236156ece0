"""What apps wrote: lines with a position in time that never repeats."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sandbox.fly import identifiers

PAGE = 100
_KEPT = 20_000
_SECOND = 1_000_000_000


@dataclass(frozen=True)
class LogLine:
    """One line. `nanoseconds` since 1970 is its place, and the token to go on from."""

    id: str
    nanoseconds: int
    message: str
    level: str
    instance: str
    region: str
    provider: str

    def as_json(self) -> dict[str, Any]:
        """Give the line as the logs API shows it."""
        seconds, rest = divmod(self.nanoseconds, _SECOND)
        moment = datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")
        meta = {
            "instance": self.instance,
            "region": self.region,
            "event": {"provider": self.provider},
            "http": {"request": {"id": "", "method": "", "version": ""}, "response": {"status_code": 0}},
            "error": {"code": 0, "message": ""},
            "url": {"full": ""},
        }
        attributes = {
            "timestamp": f"{moment}.{rest:09}Z",
            "message": self.message,
            "level": self.level,
            "instance": self.instance,
            "region": self.region,
            "meta": meta,
        }
        return {"id": self.id, "type": "log", "attributes": attributes}


def append(  # noqa: PLR0913 - a line has so many columns
    lines: list[LogLine],
    message: str,
    *,
    now: datetime,
    instance: str,
    region: str,
    provider: str = "app",
    level: str = "info",
) -> LogLine:
    """Add a line at the end; it gets a later place than the last one."""
    place = int(now.timestamp() * 1_000_000) * 1000
    if lines:
        place = max(place, lines[-1].nanoseconds + 1000)
    line = LogLine(identifiers.ulid(), place, message, level, instance, region, provider)
    lines.append(line)
    del lines[:-_KEPT]
    return line
