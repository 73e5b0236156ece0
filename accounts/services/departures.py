"""Shutting people out who no longer fit the sign-up policy, and letting them in again when they do.

Apps above this one say here what comes back with somebody, and what is still to do about what somebody has left.
"""

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef

from accounts import audit
from accounts.models import Departure, User
from accounts.services import access_ended
from accounts.services.access_ended import Why

Outcome, FoundBy = Departure.Outcome, Departure.FoundBy


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """Somebody is let in again who was shut out at `left_at`."""

    user: User
    left_at: datetime
    now: datetime


_returns: list[Callable[[Returned], object]] = []
ToDo = Callable[[set[uuid.UUID]], Mapping[uuid.UUID, list[str]]]
_to_do: list[ToDo] = []


def on_return(give_back: Callable[[Returned], object]) -> Callable[[Returned], object]:
    """Register what is given back when somebody who left comes back."""
    _returns.append(give_back)
    return give_back


def left_behind(tell: ToDo) -> ToDo:
    """Register what tells, in sentences, what of these people is still to do; in a number of queries that is fixed."""
    _to_do.append(tell)
    return tell


def to_do(user_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, list[str]]:
    """What is still to do about each of these people, where there is anything."""
    ids, told = set(user_ids), dict[uuid.UUID, list[str]]()
    for tell in _to_do if ids else ():
        for user_id, sentences in tell(ids).items():
            told.setdefault(user_id, []).extend(sentences)
    return told


@transaction.atomic
def depart(*, user_id: uuid.UUID, reason: str, found_by: str, seen_at: datetime | None, now: datetime) -> bool:
    """Shut somebody out who no longer fits, at once and everywhere; False when they aren't in, or may not be.

    Operators stay, and so does who has signed in since `seen_at`: the policy was asked about them later than that.
    """
    people = User.objects.filter(pk=user_id, is_active=True, is_staff=False, is_superuser=False)
    if seen_at is not None:
        people = people.exclude(last_login__gte=seen_at)
    if not people.update(is_active=False):
        return False
    user = User.objects.get(pk=user_id)
    departure = Departure.objects.create(user=user, reason=reason, found_by=found_by, left_at=now)
    departure.ended = access_ended.end(user=user, why=Why.SUSPENDED, by=None, now=now, has_left=True)
    departure.save(update_fields=["ended"])
    audit.record("user.left", actor=None, target=user, details={"reason": reason, "found_by": found_by})
    return True


@transaction.atomic
def come_back(*, user_id: uuid.UUID, now: datetime) -> bool:
    """Let somebody in again who fits and was shut out for not fitting; False where it was for something else, too."""
    is_out = Exists(Departure.objects.open().filter(user=OuterRef("pk")))
    if not User.objects.filter(is_out, pk=user_id, is_active=False, waitlisted_at=None).update(is_active=True):
        return False
    user = User.objects.get(pk=user_id)
    if not close(user=user, outcome=Outcome.BACK, by=None, now=now):
        # An operator has decided about it in this moment.
        transaction.set_rollback(True)
        return False
    audit.record("user.returned", actor=None, target=user)
    return True


def close(*, user: User, outcome: str, by: User | None, now: datetime) -> bool:
    """Say what became of the person's departure, in the caller's transaction; False when they have none.

    Unless they stay out, what can be given back is.
    """
    found = Departure.objects.open().filter(user=user)
    left_at = found.values_list("left_at", flat=True).first()
    if left_at is None or not found.update(outcome=outcome, closed_at=now, closed_by=by):
        return False
    if outcome != Outcome.SUSPENDED:
        returned = Returned(user=user, left_at=left_at, now=now)
        for give_back in _returns:
            give_back(returned)
    return True
