"""The cache of one process where there is no Redis: bounded in bytes, since what it keeps is people's own.

Django's LocMemCache counts values, whatever their size, and lets go of what is over only when it is asked for or
when there are too many: with credentials and logs of a megabyte each that is gigabytes.
"""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

from core.cache import Serializer

MOST_BYTES = 64 * 1024 * 1024
# A larger one would push out too many others.
LARGEST_BYTES = MOST_BYTES // 8
# About what Python needs for an entry beside its key and its value.
_ENTRY_BYTES = 400
_SERIALIZER = Serializer()


@dataclass(frozen=True, slots=True)
class _Kept:
    value: bytes | int = field(repr=False)
    expires_at: float
    size: int


@dataclass(slots=True)
class _Store:
    """What is kept, the longest unused first; all threads have the same one."""

    kept: OrderedDict[str, _Kept] = field(default_factory=OrderedDict, repr=False)
    size: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, key: str) -> _Kept | None:
        """What is there and not over."""
        found = self.kept.get(key)
        if found is None:
            return None
        if found.expires_at <= time.time():
            self.drop(key)
            return None
        self.kept.move_to_end(key)
        return found

    def put(self, key: str, entry: _Kept) -> None:
        """Keep it, and let go of what was unused for longest where there is no room."""
        self.drop(key)
        if entry.size > LARGEST_BYTES:
            return
        self.kept[key] = entry
        self.size += entry.size
        while self.size > MOST_BYTES:
            self.drop(next(iter(self.kept)))

    def drop(self, key: str) -> bool:
        """Delete the value; gives whether it was there."""
        found = self.kept.pop(key, None)
        if found is not None:
            self.size -= found.size
        return found is not None


# Django makes a backend for each thread.
_STORE = _Store()


class ProcessCache(BaseCache):
    """Django's cache, in this process."""

    def __init__(self, _location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> bool:
        """Keep the value unless there is one; whether it was."""
        key = self.make_and_validate_key(key, version=version)
        entry = self._entry(key, value, timeout)
        with _STORE.lock:
            if _STORE.find(key) is not None:
                return False
            _STORE.put(key, entry)
        return True

    def get(self, key: Any, default: Any = None, version: Any = None) -> Any:
        """What is kept, else the default."""
        key = self.make_and_validate_key(key, version=version)
        with _STORE.lock:
            found = _STORE.find(key)
        if found is None:
            return default
        return found.value if isinstance(found.value, int) else _SERIALIZER.loads(found.value)

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> None:
        """Keep the value, unless it is too large."""
        key = self.make_and_validate_key(key, version=version)
        entry = self._entry(key, value, timeout)
        with _STORE.lock:
            _STORE.put(key, entry)

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> bool:
        """Keep what is there for so long from now on; whether there is anything."""
        key = self.make_and_validate_key(key, version=version)
        with _STORE.lock:
            found = _STORE.find(key)
            if found is not None:
                _STORE.put(key, _Kept(found.value, self._expires_at(timeout), found.size))
        return found is not None

    def delete(self, key: Any, version: Any = None) -> bool:
        """Delete the value; gives whether it was there."""
        key = self.make_and_validate_key(key, version=version)
        with _STORE.lock:
            return _STORE.drop(key)

    def clear(self) -> None:
        """Delete all values."""
        with _STORE.lock:
            _STORE.kept.clear()
            _STORE.size = 0

    def _entry(self, key: str, value: Any, timeout: Any) -> _Kept:
        kept = _SERIALIZER.dumps(value)
        size = len(kept) if isinstance(kept, bytes) else 0
        return _Kept(kept, self._expires_at(timeout), size + len(key) + _ENTRY_BYTES)

    def _expires_at(self, timeout: Any) -> float:
        expires_at: float | None = self.get_backend_timeout(timeout)
        return float("inf") if expires_at is None else expires_at
