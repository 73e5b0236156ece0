"""Remembers that Nango asked us to wait, for this process and, through the shared cache, for all."""

import math
import time

from core import cache
from integrations.sources.nango.errors import NangoBusy

_LONGEST_PAUSE_SECONDS = 300
# How often a process looks whether another one was told to wait: it keeps the cache off the hot path.
_LOOK_EVERY_SECONDS = 1.0


class Pause:
    """The time until which Nango must not be called. Times are Unix seconds."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._until = 0.0
        self._looked_at = 0.0

    def require_over(self) -> None:
        """Raise NangoBusy, with the seconds that are left, while the pause lasts."""
        now = time.time()
        # A clock that was set back must not stop the looking.
        if not 0 <= now - self._looked_at < _LOOK_EVERY_SECONDS:
            self._looked_at = now
            shared = cache.read([self._key]).get(self._key)
            if isinstance(shared, float):
                self._until = max(self._until, shared)
        left = self._until - now
        if 0 < left <= _LONGEST_PAUSE_SECONDS:
            raise NangoBusy(retry_after=math.ceil(left))

    def begin(self, seconds: int) -> NangoBusy:
        """Start a pause; gives the error to raise."""
        seconds = min(max(seconds, 1), _LONGEST_PAUSE_SECONDS)
        self._until = time.time() + seconds
        cache.write(self._key, self._until, seconds=seconds)
        return NangoBusy(retry_after=seconds)
