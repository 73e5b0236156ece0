"""When cron expressions come next, across all that clocks do."""

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import example, given
from hypothesis import settings as with_settings
from hypothesis import strategies as st

from clouddev import cron_expressions
from clouddev.cron_expressions import BadSchedule, BadTimeZone, next_after, parse, parse_timezone

NEW_YORK, BERLIN, LORD_HOWE = (ZoneInfo(name) for name in ("America/New_York", "Europe/Berlin", "Australia/Lord_Howe"))
ZONES = (NEW_YORK, BERLIN, LORD_HOWE, ZoneInfo("UTC"))
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
HORIZON = 3 * DAY
# Days on which some clock is changed.
CHANGES = (
    date(2026, 3, 8),
    date(2026, 11, 1),
    date(2026, 3, 29),
    date(2026, 10, 25),
    date(2026, 4, 5),
    date(2026, 10, 4),
)
RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def coming(expression: str, zone: ZoneInfo, start: str, count: int) -> list[str]:
    """The next times, each in its zone: day, time and offset."""
    after, found = datetime.fromisoformat(start).astimezone(UTC), []
    for _ in range(count):
        after = next_after(expression, zone, after)
        found.append(f"{after.astimezone(zone):%d %H:%M %z}")
    return found


# --- Clocks that are changed ---


@pytest.mark.parametrize(
    ("expression", "zone", "start", "expected"),
    [
        ("30 2 * * *", NEW_YORK, "2026-03-07T12:00-05:00", ["08 03:00 -0400", "09 02:30 -0400"]),
        ("0 3 * * *", NEW_YORK, "2026-03-07T12:00-05:00", ["08 03:00 -0400", "09 03:00 -0400"]),
        ("30 1 * * *", NEW_YORK, "2026-03-07T12:00-05:00", ["08 01:30 -0500", "09 01:30 -0400"]),
        ("*/15 2 * * *", NEW_YORK, "2026-03-07T12:00-05:00", ["08 03:00 -0400", "09 02:00 -0400", "09 02:15 -0400"]),
        ("0,30 2,3 * * *", NEW_YORK, "2026-03-07T12:00-05:00", ["08 03:00 -0400", "08 03:30 -0400", "09 02:00 -0400"]),
        ("30 2 * * *", BERLIN, "2026-03-28T12:00+01:00", ["29 03:00 +0200", "30 02:30 +0200"]),
        ("15 2 * * *", LORD_HOWE, "2026-10-03T12:00+10:30", ["04 02:30 +1100", "05 02:15 +1100"]),
        ("45 2 * * *", LORD_HOWE, "2026-10-03T12:00+10:30", ["04 02:45 +1100", "05 02:45 +1100"]),
        ("30 2 8 3 *", NEW_YORK, "2026-03-01T00:00-05:00", ["08 03:00 -0400", "08 02:30 -0500"]),
    ],
)
def test_a_time_that_is_left_out_is_made_up_for_once(expression, zone, start, expected):
    assert coming(expression, zone, start, len(expected)) == expected


@pytest.mark.parametrize(
    ("expression", "zone", "start", "expected"),
    [
        ("30 1 * * *", NEW_YORK, "2026-10-31T12:00-04:00", ["01 01:30 -0400", "02 01:30 -0500"]),
        ("15,45 1 * * *", NEW_YORK, "2026-10-31T12:00-04:00", ["01 01:15 -0400", "01 01:45 -0400", "02 01:15 -0500"]),
        ("30 1 * * *", NEW_YORK, "2026-11-01T01:10-05:00", ["02 01:30 -0500"]),
        ("0 2 * * *", NEW_YORK, "2026-10-31T12:00-04:00", ["01 02:00 -0500", "02 02:00 -0500"]),
        ("30 2 * * *", BERLIN, "2026-10-24T12:00+02:00", ["25 02:30 +0200", "26 02:30 +0100"]),
        ("45 1 * * *", LORD_HOWE, "2026-04-04T12:00+11:00", ["05 01:45 +1100", "06 01:45 +1030"]),
    ],
)
def test_a_time_that_comes_twice_counts_once(expression, zone, start, expected):
    assert coming(expression, zone, start, len(expected)) == expected


@pytest.mark.parametrize(
    ("expression", "zone", "start", "expected"),
    [
        ("30 * * * *", NEW_YORK, "2026-03-08T00:40-05:00", ["08 01:30 -0500", "08 03:30 -0400"]),
        ("30 * * * *", NEW_YORK, "2026-11-01T00:40-04:00", ["01 01:30 -0400", "01 01:30 -0500", "01 02:30 -0500"]),
        ("30 */1 * * *", NEW_YORK, "2026-11-01T01:30-04:00", ["01 01:30 -0500", "01 02:30 -0500"]),
        ("*/20 0-23 * * *", BERLIN, "2026-10-25T02:40+02:00", ["25 02:00 +0100", "25 02:20 +0100"]),
        ("*/20 0-11,12-23 * * *", BERLIN, "2026-10-25T02:40+02:00", ["25 02:00 +0100", "25 02:20 +0100"]),
        ("*/20 * * * *", LORD_HOWE, "2026-04-05T01:30+11:00", ["05 01:40 +1100", "05 01:40 +1030", "05 02:00 +1030"]),
    ],
)
def test_every_hour_means_each_hour_that_passes(expression, zone, start, expected):
    assert coming(expression, zone, start, len(expected)) == expected


def test_the_library_runs_a_daily_job_twice_where_an_hour_comes_twice():
    """When this fails, the library may do what `next_after` does around it."""
    times = croniter("30 1 * * *", datetime(2026, 11, 1, tzinfo=NEW_YORK), ret_type=datetime)
    assert [f"{times.get_next():%d %H:%M %z}" for _ in range(2)] == ["01 01:30 -0400", "01 01:30 -0500"]


def test_the_library_takes_a_range_of_one_for_all():
    """When this fails, such ranges need not be refused."""
    assert croniter.expand("5-5 * * * *")[0][0] == ["*"]


# --- Properties ---


def numbers(field: str, low: int, high: int) -> set[int]:
    """What a field stands for, by an understanding of its own."""
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        begin = low if first == "*" else int(first)
        end = high if first == "*" else int(last or first)
        found |= set(range(begin, end + 1, int(step or 1)))
    return found


class Oracle:
    """Tries every minute."""

    def __init__(self, expression: str) -> None:
        self.fields = expression.split()
        parts = zip(self.fields, RANGES, strict=True)
        self.minutes, self.hours, self.days, self.months, weekdays = (
            numbers(field, low, min(high, 6) if field.startswith("*") else high)
            if (low, high) == RANGES[4]
            else numbers(field, low, high)
            for field, (low, high) in parts
        )
        self.weekdays = {day % 7 for day in weekdays}

    def matches(self, wall: datetime) -> bool:
        day, weekday = wall.day in self.days, wall.isoweekday() % 7 in self.weekdays
        is_either = "*" not in {self.fields[2][0], self.fields[4][0]}
        right_day = (day or weekday) if is_either else (day and weekday)
        return right_day and wall.minute in self.minutes and wall.hour in self.hours and wall.month in self.months

    def next_after(self, zone: ZoneInfo, after: datetime) -> datetime | None:
        now = after.replace(second=0, microsecond=0)
        before = now.astimezone(zone).replace(tzinfo=None)
        while (now := now + MINUTE) <= after + HORIZON:
            shown = now.astimezone(zone)
            wall = shown.replace(tzinfo=None)
            left_out = [before + step * MINUTE for step in range(1, int((wall - before) / MINUTE))]
            before = wall
            if len(self.hours) == 24:
                if self.matches(wall):
                    return now
            elif (self.matches(wall) and not shown.fold) or any(self.matches(minute) for minute in left_out):
                return now
        return None


@st.composite
def fields(draw: st.DrawFn, low: int, high: int) -> str:
    def part() -> str:
        first = draw(st.integers(low, high))
        if first == high or draw(st.booleans()):
            return str(first)
        step = draw(st.sampled_from(["", f"/{draw(st.integers(1, high))}"]))
        return f"{first}-{draw(st.integers(first + 1, high))}{step}"

    return ",".join(part() for _ in range(draw(st.integers(1, 3))))


def often_all(low: int, high: int) -> st.SearchStrategy[str]:
    return st.one_of(st.just("*"), st.just("*"), st.integers(1, high).map("*/{}".format), fields(low, high))


expressions = st.tuples(
    st.one_of(fields(0, 59), often_all(0, 59)),
    st.one_of(fields(0, 4), often_all(0, 23)),
    often_all(1, 31),
    st.just("*"),
    often_all(0, 7),
).map(" ".join)
zones = st.sampled_from(ZONES)
moments = st.builds(
    lambda day, minutes, seconds: (
        datetime.combine(day, datetime.min.time(), UTC) + timedelta(minutes=minutes, seconds=seconds)
    ),
    st.sampled_from(CHANGES),
    st.integers(-24 * 60, 24 * 60),
    st.sampled_from([0, 0, 1, 59]),
)


@with_settings(deadline=None, max_examples=100)
@given(expression=expressions, zone=zones, after=moments)
@example(expression="*/10 * * * *", zone=LORD_HOWE, after=datetime(2026, 4, 4, 14, 55, 59, tzinfo=UTC))
@example(expression="10,40 1-2 * * *", zone=LORD_HOWE, after=datetime(2026, 10, 3, 15, 29, 59, tzinfo=UTC))
@example(expression="30 2 * * *", zone=NEW_YORK, after=datetime(2026, 3, 8, 6, 59, tzinfo=UTC))
@example(expression="1-2 3-4 * * *", zone=NEW_YORK, after=datetime(2026, 3, 8, tzinfo=UTC))
@example(expression="0 0 */31 * 7", zone=BERLIN, after=datetime(2026, 10, 25, tzinfo=UTC))
def test_it_finds_what_trying_every_minute_finds(expression, zone, after):
    assert parse(expression) == expression
    found = next_after(expression, zone, after)
    assert (found if found <= after + HORIZON else None) == Oracle(expression).next_after(zone, after)


@with_settings(deadline=None, max_examples=40)
@given(expression=expressions, zone=zones, after=moments)
def test_times_only_go_forward_and_are_whole_minutes_in_utc(expression, zone, after):
    times = [after]
    for _ in range(10):
        times.append(next_after(expression, zone, times[-1]))
    assert all(one < other for one, other in pairwise(times))
    assert all(time.tzinfo is UTC and time.second == time.microsecond == 0 for time in times[1:])


@with_settings(deadline=None, max_examples=40)
@given(expression=expressions, zone=zones, after=moments)
def test_nothing_is_due_between_a_time_and_the_next(expression, zone, after):
    found = next_after(expression, zone, after)
    assert next_after(expression, zone, found - timedelta(microseconds=1)) == found
    assert next_after(expression, zone, max(after, found - HOUR)) == found


@pytest.mark.parametrize("zone", ZONES, ids=str)
@pytest.mark.parametrize("expression", ["0 0 * * *", "40 1 * * *", "15 2 * * *", "0 3 * * *"])
def test_a_daily_job_runs_once_on_every_day_of_a_year(zone, expression):
    after, days = datetime(2026, 1, 1, tzinfo=zone) - MINUTE, []
    for _ in range(365):
        after = next_after(expression, zone, after)
        days.append(after.astimezone(zone).date())
    assert days == [date(2026, 1, 1) + number * DAY for number in range(365)]


# --- What is an expression ---


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("  30   9 * *\tMON-Fri ", "30 9 * * mon-fri"),
        ("@daily", "0 0 * * *"),
        ("@Hourly", "0 * * * *"),
        ("0 0 * JAN,jul *", "0 0 * jan,jul *"),
        ("0 0 * * sat-sun", "0 0 * * sat-sun"),
        ("5-59/15 * * * *", "5-59/15 * * * *"),
        ("0 0 29 2 *", "0 0 29 2 *"),
        ("0 0 30 2 1", "0 0 30 2 1"),
    ],
)
def test_an_expression_is_kept_in_one_form(written, kept):
    assert parse(written) == kept
    assert parse(kept) == kept


@pytest.mark.parametrize("alias", sorted(cron_expressions._ALIASES))
def test_the_library_means_the_same_by_an_alias(alias):
    assert croniter.expand(alias) == croniter.expand(parse(alias))


@pytest.mark.parametrize("days", ["sun", "0", "7", "sat-sun", "6-7", "6,0"])
def test_sunday_is_the_first_day_and_the_last(days):
    found = coming(f"0 0 * * {days}", BERLIN, "2026-06-06T12:00+02:00", 2)
    assert found[0] == "07 00:00 +0200"


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ("13 * fri", "06 13 20 27"),
        ("*/2 * fri", "13 27 13 27"),
        ("1-31 * fri", "01 02 03 04"),
        ("1 * *", "01 01 01 01"),
    ],
)
def test_either_day_is_enough_unless_one_starts_with_a_star(days, expected):
    found = coming(f"1 0 {days}", ZoneInfo("UTC"), "2026-02-01T00:00+00:00", 4)
    assert found == [f"{day} 00:01 +0000" for day in expected.split()]


@pytest.mark.parametrize(
    "written", ["", " ", "daily", "@reboot", "@every 5m", "* * * *", "* * * * * *", "0 0 * * * * *"]
)
def test_anything_but_five_fields_is_refused_with_their_names(written):
    with pytest.raises(BadSchedule) as caught:
        parse(written)
    assert caught.value.status == 400
    assert caught.value.sentence.startswith(
        "cronExpression must have five fields (minute, hour, day of month, month, day of week), not "
    )


@pytest.mark.parametrize(
    ("field", "words"),
    [
        (
            "minute",
            [
                "60",
                "-1",
                "5-5",
                "9-5",
                "*/0",
                "*/60",
                "1,,2",
                ",",
                "a",
                "mon",
                "1-2-3",
                "5/15",
                "1/2/3",
                "*-5",
                "R",
                "H",
                "?",
            ],
        ),
        ("hour", ["24", "22-2", "*/24", "1.5", "0x1", "sun"]),
        ("day of month", ["0", "32", "L", "15W", "W1", "1-32"]),
        ("month", ["0", "13", "mon", "january", "dec-jan", "0-3"]),
        ("day of week", ["8", "1#2", "mon#1", "L5", "jan", "fri-mon", "7-7", "sun-sun", "*/8"]),
    ],
)
def test_a_bad_field_is_named(field, words):
    index = cron_expressions._FIELDS.index(field)
    for word in words:
        written = ["0", "0", "1", "1", "*"]
        written[index] = word
        with pytest.raises(BadSchedule) as caught:
            parse(" ".join(written))
        assert f" for the {field}, which must be " in caught.value.sentence, word


@pytest.mark.parametrize("written", ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *"])
def test_a_day_that_never_comes_is_refused(written):
    with pytest.raises(BadSchedule, match="never comes"):
        parse(written)


@pytest.mark.parametrize("written", ["0 " * 200, "0" * 101, "\u0663 * * * *", "*\u00a0* * * *", "0 0 * * \uff0a"])
def test_what_is_too_long_or_foreign_is_refused(written):
    with pytest.raises(BadSchedule, match="must be five fields"):
        parse(written)


@with_settings(deadline=None)
@given(st.text(max_size=120) | st.text(alphabet="0123456789*/,-@ lwhr#?sunmojan", max_size=30))
def test_any_text_is_parsed_or_refused(text):
    with suppress(BadSchedule):
        kept = parse(text)
        assert parse(kept) == kept


# --- Time zones ---


@pytest.mark.parametrize("name", ["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata"])
def test_a_time_zone_has_its_name_in_the_iana_database(name):
    assert parse_timezone(name) == ZoneInfo(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Berlin",
        "europe/berlin",
        "Europe",
        "Europe/",
        "+02:00",
        "/etc/passwd",
        "../zoneinfo/UTC",
        "localtime",
        "UTC\0",
        "x" * 5000,
    ],
)
def test_another_name_is_refused(name):
    with pytest.raises(BadTimeZone) as caught:
        parse_timezone(name)
    assert (caught.value.status, caught.value.sentence) == (
        400,
        "timezone must be the name of a time zone, such as Europe/Berlin or UTC.",
    )
