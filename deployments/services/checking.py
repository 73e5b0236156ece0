"""Checking what is pushed, one archive after the other: while one is walked through, other threads hardly move."""

import threading
from typing import IO

from config.core.errors import Unavailable
from deployments import archives
from deployments.services import stored_archives

_PATIENCE_SECONDS = 5.0
_RETRY_AFTER_SECONDS = 10
_turn = threading.Lock()


class Busy(Unavailable):
    """503: this process is still checking another archive."""

    default = "Other archives are being checked right now. Push again in a few seconds."


def check(archive: IO[bytes]) -> None:
    """Read the archive from its beginning to its end. Raises archives.Refused, archives.TooLarge or Busy."""
    if not _turn.acquire(timeout=_PATIENCE_SECONDS):
        raise Busy(retry_after=_RETRY_AFTER_SECONDS)
    try:
        archive.seek(0)
        archives.check(archive, limits=stored_archives.limits())
    finally:
        _turn.release()
