"""When a cron expression comes next: five fields, read in a time zone, right across its changes.

The form is that of crontab(5): minute, hour, day of month, month, day of week; lists, ranges and steps; names
of months and days; 0 and 7 are Sunday. Either day is enough, unless one of the two fields starts with `*`.

croniter finds the next time on a wall clock that never changes. What a clock that is put forward or back makes
of it is decided here, since croniter runs a daily job twice on the day when an hour comes twice
(`tests/clouddev/test_cron_expressions.py` fails when that has changed).
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from croniter import CroniterError, croniter

from core.errors import Malformed

LONGEST_EXPRESSION = 100
_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS = ("minute", "hour", "day of month", "month", "day of week")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_NAMES: tuple[dict[str, int], ...] = (
    {},
    {},
    {},
    {name: number for number, name in enumerate(_MONTHS, 1)},
    {name: number for number, name in enumerate(_DAYS)},
)
_WORD = r"[0-9]{1,2}|[a-z]{3}"
_PART = re.compile(rf"(?:\*|(?P<first>{_WORD})-(?P<last>{_WORD}))(?:/(?P<step>[0-9]{{1,2}}))?|(?P<only>{_WORD})")
_HOUR, _DAY_OF_WEEK = 1, 4
_HOURS = 24
# Files in the database that name no place.
_NO_ZONES = {"localtime", "Factory"}
_MINUTE = timedelta(minutes=1)


class BadSchedule(Malformed):
    """400: the expression is none of five fields, or its time never comes."""


class BadTimeZone(Malformed):
    """400: no such time zone."""


def parse(expression: str) -> str:
    """The expression as it is kept: five fields with one space between them, in lower case, without an alias.

    Raises BadSchedule, whose sentence says what is wrong with it.
    """
    if len(expression) > LONGEST_EXPRESSION or not expression.isascii():
        raise BadSchedule(f"cronExpression must be five fields like `30 9 * * mon-fri`, at most {LONGEST_EXPRESSION}.")
    text = expression.strip().lower()
    fields = _ALIASES.get(text, text).split()
    if len(fields) != len(_FIELDS):
        raise BadSchedule(
            f"cronExpression must have five fields (minute, hour, day of month, month, day of week), not {len(fields)}."
        )
    for index, field in enumerate(fields):
        _check_field(index, field)
    parsed = " ".join(fields)
    try:
        # Day 30 of February is well formed, and never comes.
        next_after(parsed, ZoneInfo("UTC"), datetime(2000, 1, 1, tzinfo=UTC))
    except CroniterError as error:
        raise BadSchedule("cronExpression names a day that never comes.") from error
    return parsed


def parse_timezone(name: str) -> ZoneInfo:
    """A time zone by its name in the IANA database (Europe/Berlin). Raises BadTimeZone."""
    if name not in _zone_names():
        raise BadTimeZone("timezone must be the name of a time zone, such as Europe/Berlin or UTC.")
    return ZoneInfo(name)


def next_after(expression: str, timezone: ZoneInfo, after: datetime) -> datetime:
    """The first time after `after` at which a parsed expression is due, in UTC.

    Where clocks go forward, the times that are left out are made up for once, when the clock goes on. Where they
    go back, a time that comes twice counts once, the first time. An expression for every hour follows the hours
    as they pass: there is nothing to make up for, and both of the equal hours count, else it would pause for one.
    """
    after = after.astimezone(UTC)
    clock = after.astimezone(timezone)
    if _is_for_every_hour(expression):
        return min(_next_passing(expression, clock, after, fold=fold) for fold in (0, 1))
    for wall in _wall_times(expression, clock):
        due = _made_up_for(wall).astimezone(UTC)
        if due > after:
            return due
    raise AssertionError("Wall times have no end.")


def _is_for_every_hour(expression: str) -> bool:
    hours = croniter.expand(expression)[0][_HOUR]
    return "*" in hours or len(hours) == _HOURS


def _next_passing(expression: str, clock: datetime, after: datetime, *, fold: int) -> datetime:
    """The first due time after `after` on one of the two ways to read the hour that comes twice."""
    # What that hour shows the second time may be behind what the clock shows now, by as much as it is put back.
    put_back = _offset(clock, 0) - _offset(clock, 1)
    start = clock - max(put_back, timedelta(0)) - _MINUTE if fold else clock
    for wall in _wall_times(expression, start):
        due = wall.replace(fold=fold).astimezone(UTC)
        if due > after and _exists(wall):
            return due
    raise AssertionError("Wall times have no end.")


def _wall_times(expression: str, clock: datetime) -> Iterator[datetime]:
    """The matching times after the clock's minute, on a clock that is never put forward or back, in its zone."""
    start = clock.replace(second=0, microsecond=0, tzinfo=UTC)
    # The "bug" is what crontab(5) says: days are both asked for where one of their fields starts with `*`.
    times = croniter(expression, start, ret_type=datetime, implement_cron_bug=True)
    while True:
        yield times.get_next().replace(tzinfo=clock.tzinfo)


def _made_up_for(wall: datetime) -> datetime:
    """The wall time itself, or the first one that exists after those that are left out."""
    while not _exists(wall):
        wall += _MINUTE
    return wall


def _exists(wall: datetime) -> bool:
    """Whether the clock ever shows this."""
    return wall.astimezone(UTC).astimezone(wall.tzinfo).replace(tzinfo=None) == wall.replace(tzinfo=None)


def _offset(clock: datetime, fold: int) -> timedelta:
    return clock.replace(fold=fold).utcoffset() or timedelta(0)


def _check_field(index: int, field: str) -> None:
    """Refuse what is not in crontab(5), of which croniter knows much. Raises BadSchedule."""
    low, high = _BOUNDS[index]
    for part in field.split(","):
        found = _PART.fullmatch(part)
        if found is None:
            raise _bad_field(index, part)
        first, last, only = (_number(index, found[name]) for name in ("first", "last", "only"))
        if index == _DAY_OF_WEEK and found["last"] == "sun" and first:
            last = high
        step = int(found["step"] or 1)
        numbers = [number for number in (first, last, only) if number is not None]
        # croniter takes a range from a number to itself for the whole field, and */90 for */60.
        if not all(low <= number <= high for number in numbers) or numbers != sorted(set(numbers)):
            raise _bad_field(index, part)
        if not 1 <= step <= high:
            raise _bad_field(index, part)


def _number(index: int, word: str | None) -> int | None:
    """What a word stands for in a field; -1 for one that stands for nothing there."""
    if word is None:
        return None
    return int(word) if word.isdecimal() else _NAMES[index].get(word, -1)


def _bad_field(index: int, part: str) -> BadSchedule:
    low, high = _BOUNDS[index]
    return BadSchedule(
        f"cronExpression has `{part}` for the {_FIELDS[index]}, which must be *, an upward range or a "
        f"number from {low} to {high}, or several with commas between. A /step goes after * or a range."
    )


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones() - _NO_ZONES)
