"""The shared cache, where a failure counts as a miss: it makes things quick, never possible.

With REDIS_URL all processes share it, else each has its own.
"""

import logging
from collections.abc import Sequence

import redis
from django.core.cache import cache

logger = logging.getLogger(__name__)


def read(keys: Sequence[str]) -> dict[str, object]:
    """What is there of `keys`, in one round trip."""
    try:
        return dict(cache.get_many(keys))
    except redis.RedisError as error:
        _note(error)
        return {}


def write(key: str, value: object, *, seconds: float) -> None:
    """Keep `value` for so many seconds."""
    try:
        cache.set(key, value, timeout=seconds)
    except redis.RedisError as error:
        _note(error)


def add(key: str, value: object, *, seconds: float) -> bool:
    """Keep `value` unless there is one. True when it was kept, and when nobody can tell."""
    try:
        return cache.add(key, value, timeout=seconds)
    except redis.RedisError as error:
        _note(error)
        return True


def drop(key: str) -> None:
    """Forget the value."""
    try:
        cache.delete(key)
    except redis.RedisError as error:
        _note(error)


def _note(error: redis.RedisError) -> None:
    logger.warning("the shared cache can't be reached: %s", type(error).__name__)
