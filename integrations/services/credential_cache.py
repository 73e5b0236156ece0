"""Credentials that were fetched a moment ago, kept sealed in the shared cache.

Each person has an epoch, a number in the database that comes with their caller. What is kept opens only
in the epoch in which its fetch began, and dropping raises it. So a drop is written where nothing else can
lose it, counts at once in every process, and a fetch that began before can't bring back what was dropped.
"""

import hashlib
import uuid
from dataclasses import dataclass, replace

from django.conf import settings
from django.db.models import F, QuerySet

from accounts.models import User
from accounts.principals import Principal
from core import cache
from core.crypto import CannotOpen, keyring

LONGEST_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Place:
    """Where a connection's credentials are kept for their owner, and the epoch in which they are good."""

    owner_id: uuid.UUID
    key: str
    epoch: int

    @property
    def sealed_for(self) -> str:
        """What the sealed value is bound to."""
        return f"{self.key}:{self.epoch}"


def place_of(caller: Principal, *, integration_id: str, connection_id: str) -> Place | None:
    """Where the caller's credentials of this connection belong, None when the cache is off.

    Each organization that a person acts in has places of its own: what is kept for one is not found in another.
    """
    if not settings.CREDENTIALS_CACHE_SECONDS:
        return None
    address = f"{caller.organization_id}\0{integration_id}\0{connection_id}"
    name = hashlib.sha256(address.encode()).hexdigest()[:32]
    return Place(caller.id, f"credentials:{caller.id}:{name}", caller.cache_epoch)


def look_up(place: Place) -> bytes | None:
    """What is kept there, None when there is nothing or it is of another epoch."""
    sealed = cache.read([place.key]).get(place.key)
    if not isinstance(sealed, bytes):
        return None
    try:
        return keyring().open(sealed, place=place.sealed_for)
    except CannotOpen:
        return None


def fill(place: Place, plain: bytes, *, seconds: float) -> None:
    """Keep the credentials for so many seconds, at most as long as CREDENTIALS_CACHE_SECONDS says."""
    seconds = min(seconds, settings.CREDENTIALS_CACHE_SECONDS, LONGEST_SECONDS)
    if seconds > 0:
        cache.write(place.key, keyring().seal(plain, place=place.sealed_for), seconds=seconds)


def drop(*, integration_id: str, connection_id: str) -> None:
    """Drop all that was cached so far for the connection's owner.

    Belongs into the transaction that records why.
    """
    rows = {"connections__integration_id": integration_id, "connections__connection_id": connection_id}
    _begin_epoch(User.objects.filter(**rows))


def drop_of(owner_id: uuid.UUID) -> None:
    """Drop the same for an owner whose row of the connection is gone."""
    _begin_epoch(User.objects.filter(pk=owner_id))


def renewed(place: Place) -> Place:
    """Give the place in a new epoch, where nothing cached or asked for before is used again."""
    drop_of(place.owner_id)
    # Where another drop comes between, this epoch is over already, and what is kept in it is a miss.
    return replace(place, epoch=place.epoch + 1)


def _begin_epoch(people: QuerySet[User]) -> None:
    people.update(cache_epoch=F("cache_epoch") + 1)
