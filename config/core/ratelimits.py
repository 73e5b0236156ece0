"""Rate limits that hold when callers come at once (the library `limits`; its hit is atomic).

Counted in Redis when REDIS_URL is set, so that all processes share them, else in this process.
When Redis can't be reached, this process counts alone: a limit is never off.
"""

import logging
import math
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

from config.core.errors import TooManyRequests

logger = logging.getLogger(__name__)

_REDIS_TIMEOUT_SECONDS = 0.5
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

    def _wait(self, item: RateLimitItem, *key: str) -> int:
        resets_at = _counted(lambda limiter: limiter.get_window_stats(item, self.name, *key).reset_time)
        return max(1, math.ceil(resets_at - time.time()))


def forget_all() -> None:
    """Start counting anew; for tests."""
    for limiter in (_shared(settings.REDIS_URL), _local()):
        limiter.storage.reset()


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
    return FixedWindowRateLimiter(MemoryStorage())
