"""Rate limits that hold when callers come at once (the library `limits`; its hit is atomic).

Counted in Redis when REDIS_URL is set, so that all processes share them, else in this process.
When Redis can't be reached, this process counts alone: a limit is never off.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import redis
from django.conf import settings
from limits import RateLimitItem, parse
from limits.errors import StorageError
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import FixedWindowRateLimiter

from core.errors import TooManyRequests

logger = logging.getLogger(__name__)

_REDIS_TIMEOUT_SECONDS = 0.5
_SWEEP_SECONDS = 60.0
_MINUTE = 60
# Beside the people's keys, none of which has a star.
_PEOPLE = "*"
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class RateLimit:
    """So many times per period and key, such as RateLimit("cli-login", "10/minute")."""

    name: str
    rate: str

    def spend(self, *key: str) -> None:
        """Count one use by `key`. Raises TooManyRequests, with the seconds to wait, when none is left."""
        item = _item(self.rate)
        if not _counted(lambda limiter: limiter.hit(item, self.name, *key)):
            raise TooManyRequests(retry_after=self._wait(item, *key))

    def require_left(self, *key: str) -> None:
        """Raise TooManyRequests when `key` has used the limit up; counts nothing."""
        item = _item(self.rate)
        if not _counted(lambda limiter: limiter.test(item, self.name, *key)):
            raise TooManyRequests(retry_after=self._wait(item, *key))

    def used(self, *key: str) -> int:
        """How many times `key` has spent it in this period."""
        item = _item(self.rate)
        return self.number - _counted(lambda limiter: limiter.get_window_stats(item, self.name, *key).remaining)

    @property
    def number(self) -> int:
        """How many there are per period."""
        return _item(self.rate).amount

    def _wait(self, item: RateLimitItem, *key: str) -> int:
        resets_at = _counted(lambda limiter: limiter.get_window_stats(item, self.name, *key).reset_time)
        return max(1, math.ceil(resets_at - time.time()))


@dataclass(frozen=True, slots=True)
class FairShare:
    """So many uses a minute for all together, of which everybody who comes by gets an equal part.

    Who comes by is whoever did in this minute or the one before.
    """

    name: str

    def spend(self, key: str, *, among_all: int) -> None:
        """Count one use by `key`. Raises TooManyRequests, with the seconds to wait, when its part is used up."""
        now = time.time()
        minute = int(now // _MINUTE)
        used = self._count(minute, key)
        people = self._count(minute, _PEOPLE) if used == 1 else self._counted(minute, _PEOPLE)
        people = max(people, self._counted(minute - 1, _PEOPLE), 1)
        if used > max(among_all // people, 1):
            raise TooManyRequests(retry_after=max(1, math.ceil((minute + 1) * _MINUTE - now)))

    def _count(self, minute: int, what: str) -> int:
        return _counted(lambda limiter: limiter.storage.incr(self._place(minute, what), 2 * _MINUTE))

    def _counted(self, minute: int, what: str) -> int:
        return _counted(lambda limiter: limiter.storage.get(self._place(minute, what)))

    def _place(self, minute: int, what: str) -> str:
        return f"share/{self.name}/{minute}/{what}"


def forget_all() -> None:
    """Start counting anew; for tests."""
    for limiter in (_shared(settings.REDIS_URL), _local()):
        limiter.storage.reset()


class ProcessMemory(MemoryStorage):
    """Counts in this process, without the thread that the library's own storage starts for it.

    MemoryStorage starts a timer thread up to a hundred times a second, each of which walks all keys: on a
    busy route that costs more than the rest of the request. Here what is over is dropped once in a
    while by the caller who comes by.
    """

    def __init__(self) -> None:
        super().__init__()
        self._mutex = threading.Lock()
        self._swept_at = time.time()

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Add to the key's count, which begins anew `expiry` seconds after its first use."""
        now = time.time()
        with self._mutex:
            if now - self._swept_at > _SWEEP_SECONDS:
                self._sweep(now)
            if self.expirations.get(key, 0) <= now:
                self.storage[key] = 0
                self.expirations[key] = now + expiry
            self.storage[key] += amount
            return self.storage[key]

    def _sweep(self, now: float) -> None:
        self._swept_at = now
        for key in [key for key, expires_at in self.expirations.items() if expires_at <= now]:
            self.storage.pop(key, None)
            self.expirations.pop(key, None)


def _counted(question: Callable[[FixedWindowRateLimiter], Result]) -> Result:
    try:
        return question(_shared(settings.REDIS_URL))
    except (StorageError, redis.RedisError) as error:
        logger.warning("rate limits are counted in this process only: %s", type(error).__name__)
        return question(_local())


@lru_cache(maxsize=64)
def _item(rate: str) -> RateLimitItem:
    return parse(rate)


@lru_cache(maxsize=2)
def _shared(redis_url: str) -> FixedWindowRateLimiter:
    if not redis_url:
        return _local()
    storage = storage_from_string(
        redis_url,
        wrap_exceptions=True,
        socket_timeout=_REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=_REDIS_TIMEOUT_SECONDS,
    )
    return FixedWindowRateLimiter(storage)


@lru_cache(maxsize=1)
def _local() -> FixedWindowRateLimiter:
    return FixedWindowRateLimiter(ProcessMemory())
