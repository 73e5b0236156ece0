"""Whether any worker lives: what waits for one must not wait for ever."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from core.database import fetch_row
from core.queues import QUEUES

# Longer than a release, a restart of the database or a frozen machine keeps workers away.
SILENT_AFTER = timedelta(minutes=2)
# A worker that ends well takes its rows along, one for each queue; what is due every few seconds tells when it was
# there. By the database's clock.
HEARD_SQL = """
SELECT heard.at, heard.at IS NULL OR heard.at < now() - %s, extract(epoch FROM now() - heard.at)::int,
       (SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat >= now() - %s)
  FROM (SELECT greatest(
               (SELECT max(last_heartbeat) FROM procrastinate_workers),
               (SELECT to_timestamp(max(defer_timestamp)) FROM procrastinate_periodic_defers)) AS at) heard
"""
HEARD_PARAMETERS = (SILENT_AFTER, SILENT_AFTER)


@dataclass(frozen=True, slots=True)
class Heard:
    """When any worker was heard of last, and whether that is too long ago to wait for one; how many live."""

    at: datetime | None
    is_silence: bool
    seconds_ago: int | None
    count: int


def last_heard() -> Heard:
    """The last sign of life of any worker. One query."""
    return heard_of(fetch_row(HEARD_SQL, HEARD_PARAMETERS))


def heard_of(row: tuple[Any, ...] | None) -> Heard:
    """What a row of HEARD_SQL says."""
    at, is_silence, seconds_ago, rows = row or (None, True, None, 0)
    return Heard(at, is_silence, seconds_ago, -(-rows // len(QUEUES)))


def are_silent() -> bool:
    """Whether no worker has been heard of for two minutes. One query."""
    return last_heard().is_silence
