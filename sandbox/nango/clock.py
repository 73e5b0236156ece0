"""Nango's three spellings of a moment. A client that reads only one of them is wrong."""

from datetime import UTC, datetime


def now() -> datetime:
    """Give the time, in UTC."""
    return datetime.now(tz=UTC)


def zulu(moment: datetime) -> str:
    """Spell as in sessions, import answers and `expires_at`: 2026-01-02T03:04:05.481Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{_millis(moment):03}Z"


def detailed(moment: datetime) -> str:
    """Spell as in the detail of a connection: 2026-01-02T03:04:05.481+00:00."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def listed(moment: datetime) -> str:
    """Spell as in lists: up to microseconds, without closing zeros, as PostgreSQL does."""
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    return f"{text}+00:00"


def read(text: str) -> datetime:
    """Read any of the spellings. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _millis(moment: datetime) -> int:
    return moment.microsecond // 1000
