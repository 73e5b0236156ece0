"""The shared cache, where a failure counts as a miss: it makes things quick, never possible.

With REDIS_URL all processes share it, else each has its own.
"""

import logging
from collections.abc import Sequence

import orjson
import redis
from django.core.cache import cache

logger = logging.getLogger(__name__)


class Serializer:
    """What Redis keeps: bytes as they are, whole numbers as Redis counts them, all else as JSON.

    A tuple comes back as a list. What can't be read counts as absent.
    """

    def dumps(self, value: object) -> bytes | int:
        """The value in Redis."""
        if isinstance(value, bytes):
            return b"b" + value
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        return b"j" + orjson.dumps(value)

    def loads(self, kept: bytes) -> object:
        """The value that was kept, or None."""
        try:
            return kept[1:] if kept[:1] == b"b" else orjson.loads(kept[1:] if kept[:1] == b"j" else kept)
        except orjson.JSONDecodeError:
            return None


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
