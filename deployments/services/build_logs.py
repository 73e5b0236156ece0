"""Reading a build's log, which may have megabytes, in pieces."""

import uuid
from dataclasses import dataclass

from django.conf import settings

from deployments.models import BuildLogChunk

MOST_CHARACTERS = 100_000


@dataclass(frozen=True, slots=True)
class LogPart:
    """Characters `start` to `end` of a log that has `length` of them so far."""

    text: str
    start: int
    end: int
    length: int


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


def address_of(*, deployment_id: uuid.UUID, build_id: uuid.UUID) -> str:
    """The address of the build's page, where all of its log can be read."""
    return f"{settings.PUBLIC_URL}/deployments/{deployment_id}/builds/{build_id}"


# From the last chunk that begins at or before the first wanted character to the last that begins before the end.
_CHUNKS = """
SELECT id, start, text FROM deployments_buildlogchunk
 WHERE build_id = %s AND start < %s
   AND start >= COALESCE((SELECT max(start) FROM deployments_buildlogchunk WHERE build_id = %s AND start <= %s), 0)
 ORDER BY start
"""
