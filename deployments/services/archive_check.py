"""Checking what is pushed, one archive after the other: while one is walked through, other threads hardly move.

A person's archives wait for one another first, so that nobody has more than one in it or before it, and each has a
budget of computing time: no person's bombs keep others waiting.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from core.errors import Unavailable
from deployments import archives
from deployments.services import archive_storage

_PATIENCE_SECONDS = 5.0
_RETRY_AFTER_SECONDS = 10
# Seconds of a processor for one archive; the largest that are allowed take some.
_CPU_SECONDS = 20.0
_turn = threading.Lock()
_people: set[object] = set()
_left = threading.Condition()


class Busy(Unavailable):
    """503: this process is still checking another archive."""

    default = "Other archives are being checked right now. Push again in a few seconds."


class TooMuchWork(archives.Refused):
    """400: reading the archive takes longer than any app's source would."""

    default = (
        "archive: Checking this archive takes too long. Pack fewer files, without what the build can fetch or make."
    )


def check(archive: IO[bytes], *, person: object) -> None:
    """Read the person's archive to its end. Raises archives.Refused, archives.TooLarge, TooMuchWork or Busy."""
    with _place(person):
        if not _turn.acquire(timeout=_PATIENCE_SECONDS):
            raise Busy(retry_after=_RETRY_AFTER_SECONDS)
        try:
            archive.seek(0)
            archives.check(_Metered(archive), limits=archive_storage.limits())
        finally:
            _turn.release()


class _Metered:
    """Lets the archive be read for as long as its reader has computing time left."""

    def __init__(self, archive: IO[bytes]) -> None:
        self._archive = archive
        self._until = time.thread_time() + _CPU_SECONDS

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes. Raises TooMuchWork."""
        if time.thread_time() > self._until:
            raise TooMuchWork
        return self._archive.read(size)


@contextmanager
def _place(person: object) -> Iterator[None]:
    """The person's one place, once it is free. Raises Busy."""
    with _left:
        if not _left.wait_for(lambda: person not in _people, timeout=_PATIENCE_SECONDS):
            raise Busy(retry_after=_RETRY_AFTER_SECONDS)
        _people.add(person)
    try:
        yield
    finally:
        with _left:
            _people.discard(person)
            _left.notify_all()
