"""Logs of an app: of its builds, which may have megabytes and are read in pieces, and of what runs, which Fly has."""

import logging
import uuid
from dataclasses import dataclass

from django.conf import settings

from accounts.principals import Principal
from core import cache
from core.database import fetch_row
from core.errors import ApplicationError
from deployments.models import BuildLogChunk, Deployment
from deployments.models.builds import LATEST_FIRST_SQL
from deployments.services.access import NoSuchApp
from fly.clients.flyctl.output_lines import clean
from fly.clients.machines_api import Fly
from fly.clients.machines_api.types import LogEntry

logger = logging.getLogger(__name__)

MOST_CHARACTERS = 100_000
# From the last chunk that begins at or before the first wanted character to the last that begins before the end.
_CHUNKS = """
SELECT id, start, text FROM deployments_buildlogchunk
 WHERE build_id = %s AND start < %s
   AND start >= COALESCE((SELECT max(start) FROM deployments_buildlogchunk WHERE build_id = %s AND start <= %s), 0)
 ORDER BY start
"""
_KEPT_SECONDS = 2
# So long Fly is not asked again after it failed: a call may take seconds, and many may be waiting.
_FAILURE_KEPT_SECONDS = 5
_LONGEST_NAME = 40
_FIND = f"""
SELECT d.id, d.fly_app_id, b.id, b.log_length,
       EXISTS (SELECT 1 FROM deployments_build r WHERE r.deployment_id = d.id AND r.released_at IS NOT NULL)
  FROM deployments_deployment d
  JOIN accounts_organization o ON o.id = d.organization_id
  LEFT JOIN LATERAL (
       SELECT id, log_length FROM deployments_build WHERE deployment_id = d.id ORDER BY {LATEST_FIRST_SQL} LIMIT 1
       ) b ON true
 WHERE d.owner_id = %s AND d.organization_id = %s AND lower(d.app_name) = lower(%s::text) AND d.state <> %s
   AND o.suspended_at IS NULL
"""  # noqa: S608 - the order is a constant


@dataclass(frozen=True, slots=True)
class LogPart:
    """Characters `start` to `end` of a log that has `length` of them so far."""

    text: str
    start: int
    end: int
    length: int


@dataclass(frozen=True, slots=True)
class Logs:
    """`build` and `service` are None where there is nothing to have a log, or Fly can't be asked for it.

    `next_offset` is where a reader goes on in the log of the build `build_id`, `length` what there is so far.
    """

    build: str | None
    service: str | None
    build_id: uuid.UUID | None
    next_offset: int
    length: int


def logs_of(*, caller: Principal, app_name: str, offset: int | None) -> Logs:
    """The app's logs; without `offset` the end of the build's, else what follows so many characters of it.

    Either way at most MOST_CHARACTERS of it. Raises NoSuchApp.
    """
    row = fetch_row(_FIND, [caller.id, caller.organization_id, app_name, Deployment.State.DESTROYING])
    if row is None:
        raise NoSuchApp
    deployment_id, fly_name, build_id, length, is_released = row
    service = service_logs(fly_name=fly_name) if is_released else None
    if build_id is None:
        return Logs(None, service, None, 0, 0)
    if offset is not None:
        part = read_from(build_id=build_id, length=length, offset=offset)
        return Logs(part.text, service, build_id, part.end, part.length)
    part = read_tail(build_id=build_id, length=length)
    text = _heading(part.start, deployment_id, build_id) + part.text
    return Logs(text, service, build_id, part.end, part.length)


def _heading(left_out: int, deployment_id: uuid.UUID, build_id: uuid.UUID) -> str:
    if not left_out:
        return ""
    address = f"{settings.PUBLIC_URL}/deployments/{deployment_id}/builds/{build_id}"
    return f"… {left_out:,} characters are left out here. The whole log: {address}\n"


def read_tail(*, build_id: uuid.UUID, length: int) -> LogPart:
    """The last lines, in at most MOST_CHARACTERS; it begins with a line's beginning."""
    part = read_from(build_id=build_id, length=length, offset=max(0, length - MOST_CHARACTERS))
    if part.start == 0:
        return part
    # A single line longer than all that is shown is shown cut.
    skipped = part.text.find("\n") + 1
    return LogPart(part.text[skipped:], part.start + skipped, part.end, part.length)


def read_from(*, build_id: uuid.UUID, length: int, offset: int) -> LogPart:
    """What follows the first `offset` characters, at most MOST_CHARACTERS of it. Reads only the chunks it needs."""
    start = min(offset, length)
    end = min(start + MOST_CHARACTERS, length)
    if start == end:
        return LogPart("", start, start, length)
    chunks = BuildLogChunk.objects.raw(_CHUNKS, [build_id, end, build_id, start])
    text = "".join(chunk.text[max(0, start - chunk.start) : max(0, end - chunk.start)] for chunk in chunks)
    return LogPart(text, start, start + len(text), length)


def service_logs(*, fly_name: str) -> str | None:
    """The latest lines of the app at Fly, oldest first; None when Fly can't be asked."""
    key = f"service-logs:{fly_name}"
    kept = cache.read([key]).get(key)
    if isinstance(kept, str):
        # An app that said nothing is told from a Fly that said nothing by the first character.
        return kept[1:] if kept.startswith("+") else None
    lines = _ask(fly_name)
    if lines is None:
        cache.write(key, "-", seconds=_FAILURE_KEPT_SECONDS)
    else:
        cache.write(key, f"+{lines}", seconds=_KEPT_SECONDS)
    return lines


def _ask(fly_name: str) -> str | None:
    try:
        entries = Fly.from_settings().logs(fly_name)
    except ApplicationError as error:
        logger.warning("no logs of %s: %s", fly_name, type(error).__name__)
        return None
    return "".join(f"{_line(entry)}\n" for entry in entries)


def _line(entry: LogEntry) -> str:
    """One line without control codes and of bounded length, whatever the app wrote."""
    where = f"[{_short(entry.instance) or '-'}] {_short(entry.region) or '-'}"
    return f"{entry.at:%Y-%m-%dT%H:%M:%SZ} {where} [{_short(entry.level) or 'info'}] {clean(_one_line(entry.message))}"


def _one_line(message: str) -> bytes:
    return " ".join(message.splitlines()).encode("utf-8", "replace")


def _short(word: str) -> str:
    return clean(_one_line(word[:_LONGEST_NAME]))
