"""Credentials that were fetched a moment ago, kept sealed in the shared cache.

Each connection has a generation, a random mark in the cache. What is kept opens only in the
generation that was read before it was fetched; dropping gives the connection a new one. So a fetch
that began before a drop can't bring back what was dropped, and a lost mark is merely a miss.
"""

import hashlib
import secrets
import uuid
from dataclasses import dataclass, field

from django.conf import settings

from config.core import cache
from config.core.crypto import CannotOpen, keyring

LONGEST_SECONDS = 300
# Longer than anything is kept, so that a mark outlives what was kept under it.
_GENERATION_SECONDS = 2 * LONGEST_SECONDS


@dataclass(frozen=True, slots=True)
class Place:
    """Where a connection's credentials are kept for their owner, in the current generation."""

    key: str
    generation: bytes = field(repr=False)

    @property
    def sealed_for(self) -> str:
        """What the sealed value is bound to."""
        return f"{self.key}:{self.generation.hex()}"


def look_up(
    *, owner_id: uuid.UUID, integration_id: str, connection_id: str, fresh: bool
) -> tuple[Place | None, bytes | None]:
    """Where to keep the credentials and what is kept there; `fresh` drops what is.

    There is no place when the cache is off.
    """
    if not settings.CREDENTIALS_CACHE_SECONDS:
        return None, None
    name = _name(integration_id, connection_id)
    key, generation_key = f"credentials:{owner_id}:{name}", _generation_key(name)
    if fresh:
        return Place(key, _new_generation(generation_key)), None
    found = cache.read([generation_key, key])
    generation = found.get(generation_key)
    if not isinstance(generation, bytes):
        return Place(key, _first_generation(generation_key)), None
    place, sealed = Place(key, generation), found.get(key)
    return place, _opened(sealed, place) if isinstance(sealed, bytes) else None


def fill(place: Place, plain: bytes, *, seconds: float) -> None:
    """Keep the credentials for so many seconds, at most as long as CREDENTIALS_CACHE_SECONDS says."""
    seconds = min(seconds, settings.CREDENTIALS_CACHE_SECONDS, LONGEST_SECONDS)
    if seconds > 0:
        cache.write(place.key, keyring().seal(plain, place=place.sealed_for), seconds=seconds)


def drop(*, integration_id: str, connection_id: str) -> None:
    """Let nothing that was fetched so far be used again, whoever fetched it."""
    _new_generation(_generation_key(_name(integration_id, connection_id)))


def _opened(sealed: bytes, place: Place) -> bytes | None:
    try:
        return keyring().open(sealed, place=place.sealed_for)
    except CannotOpen:
        return None


def _new_generation(key: str) -> bytes:
    mark = secrets.token_bytes(16)
    cache.write(key, mark, seconds=_GENERATION_SECONDS)
    return mark


def _first_generation(key: str) -> bytes:
    """Mark a connection that has no mark; when two do so at once the first one's holds."""
    mark = secrets.token_bytes(16)
    if cache.add(key, mark, seconds=_GENERATION_SECONDS):
        return mark
    found = cache.read([key]).get(key)
    return found if isinstance(found, bytes) else mark


def _name(integration_id: str, connection_id: str) -> str:
    return hashlib.sha256(f"{integration_id}\0{connection_id}".encode()).hexdigest()[:32]


def _generation_key(name: str) -> str:
    return f"credentials-generation:{name}"
