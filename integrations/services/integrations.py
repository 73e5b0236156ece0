"""Listing the integrations: asked of Nango once in a while and shared by everybody.

The list is everybody's, so it is kept in the shared cache. When it is due, one thread of one process
asks; the others give the old list, or wait when there is none. While Nango fails the old list serves
for an hour.
"""

import logging
import time
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import orjson
from django.conf import settings

from core import cache
from core.errors import ApplicationError
from core.http_client import ServiceTimeout
from integrations.services.single_flight import Flights
from integrations.sources.nango import Nango, NangoNotConfigured

logger = logging.getLogger(__name__)

_STALE_SERVES_SECONDS = 3600
_ASK_AGAIN_AFTER_FAILURE_SECONDS = 5
# Longer than a call may take: the lock of a killed process must not last.
_LOCK_SECONDS = 7
_WAIT_SECONDS = 5.5
_LOOK_EVERY_SECONDS = 0.05

# The same list near at hand: nothing but time makes it due, so no process needs to look again before.
_near: "WeakKeyDictionary[Nango, _Kept]" = WeakKeyDictionary()
_flights = Flights()


@dataclass(frozen=True, slots=True)
class _Kept:
    """A list in the cache: to be asked for again at `due_at`, of use until `serves_until` (Unix seconds)."""

    due_at: float
    serves_until: float
    content: bytes


def list_integrations() -> bytes:
    """The integrations as JSON: `[{"id", "provider", "displayName", "logo"}]`.

    Raises NangoNotConfigured, or the client's errors when there is no list to fall back on.
    """
    nango = Nango.from_settings()
    if not settings.INTEGRATIONS_CACHE_SECONDS:
        return _shared(nango, stale=None)
    near = _near.get(nango)
    if near and near.due_at > time.time():
        return near.content
    kept = _kept(nango)
    if kept and kept.due_at > time.time():
        _near[nango] = kept
        return kept.content
    return _shared(nango, stale=kept)


def name_of(integration_id: str) -> str:
    """What people call the integration, as far as the last list tells, else its id. Nango isn't asked."""
    try:
        kept = _kept(Nango.from_settings())
    except NangoNotConfigured:
        kept = None
    listed: list[dict[str, str]] = orjson.loads(kept.content) if kept else []
    return next((item["displayName"] for item in listed if item["id"] == integration_id), integration_id)


def _shared(nango: Nango, *, stale: _Kept | None) -> bytes:
    """Ask, as the only thread of this process; the others get the old list at once, or share the outcome."""
    return _flights.share(
        nango.fingerprint, lambda: _ask_or_wait(nango, stale=stale), meanwhile=stale.content if stale else None
    )


def _ask_or_wait(nango: Nango, *, stale: _Kept | None) -> bytes:
    """Ask, as the only process; without the lock give the old list, or wait for the other's."""
    if not settings.INTEGRATIONS_CACHE_SECONDS:
        return _ask(nango)
    lock, deadline = _key(nango, "lock"), time.monotonic() + _WAIT_SECONDS
    while not cache.add(lock, 1, seconds=_LOCK_SECONDS):
        if stale is not None:
            return stale.content
        if time.monotonic() > deadline:
            raise ServiceTimeout("Nango")
        time.sleep(_LOOK_EVERY_SECONDS)
        if kept := _kept(nango):
            return kept.content
    try:
        # Another process may have finished between our look and our lock.
        kept = _kept(nango)
        return kept.content if kept and kept.due_at > time.time() else _ask_or_reuse(nango, stale=kept)
    finally:
        cache.drop(lock)


def _ask_or_reuse(nango: Nango, *, stale: _Kept | None) -> bytes:
    """Ask, and keep the answer; while that fails the old list serves on."""
    now = time.time()
    try:
        content = _ask(nango)
    except ApplicationError as error:
        if stale is None:
            raise
        logger.warning("serving an old list of integrations: %s", error)
        _keep(nango, _Kept(now + _ASK_AGAIN_AFTER_FAILURE_SECONDS, stale.serves_until, stale.content))
        return stale.content
    due_at = now + settings.INTEGRATIONS_CACHE_SECONDS
    _keep(nango, _Kept(due_at, due_at + _STALE_SERVES_SECONDS, content))
    return content


def _ask(nango: Nango) -> bytes:
    return orjson.dumps(
        [
            {
                "id": integration.unique_key,
                "provider": integration.provider,
                "displayName": integration.display_name or integration.unique_key,
                "logo": integration.logo or None,
            }
            for integration in nango.list_integrations()
        ]
    )


def _kept(nango: Nango) -> _Kept | None:
    key = _key(nango, "list")
    match cache.read([key]).get(key):
        case (float(due_at), float(serves_until), str(content)) if serves_until > time.time():
            return _Kept(due_at, serves_until, content.encode())
        case _:
            return None


def _keep(nango: Nango, kept: _Kept) -> None:
    seconds = kept.serves_until - time.time()
    cache.write(_key(nango, "list"), (kept.due_at, kept.serves_until, kept.content.decode()), seconds=seconds)


def _key(nango: Nango, what: str) -> str:
    return f"integrations-{what}:{nango.fingerprint}"
