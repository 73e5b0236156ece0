"""Whether somebody still has the access with which they were let in, when they are given something that lasts.

A request is let in at its beginning. Ending access (`access_ended`) ends what it finds: what a request gave out after
that would outlive it, and work again once the person is restored. So each end begins an epoch, and whoever gives out
something that lasts holds the person's row in the epoch of the request.
"""

import uuid
from typing import Protocol

from accounts.audit import Actor
from accounts.models import User
from core.errors import Unauthenticated


class AccessEnded(Unauthenticated):
    """401: the person's access has ended since they were let in."""

    default = "You were signed out while this was under way, so it was not done. Sign in again."


class LetIn(Protocol):
    """Somebody who was let in: a User, or the Principal of an API request."""

    @property
    def id(self) -> uuid.UUID:
        """The person's id."""

    @property
    def access_epoch(self) -> int:
        """The epoch in which they were let in."""


class Doer(LetIn, Actor, Protocol):
    """Somebody who was let in and does things."""


def hold(person: LetIn) -> None:
    """Keep the person's access as it is until the caller's transaction ends; to be locked first, but for organizations.

    Raises AccessEnded when it has ended since they were let in, whether or not they were let in again.
    """
    same = User.objects.filter(pk=person.id, is_active=True, access_epoch=person.access_epoch)
    if not same.select_for_update(no_key=True).values_list("pk", flat=True):
        raise AccessEnded
