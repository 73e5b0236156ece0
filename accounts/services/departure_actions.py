"""What operators decide about somebody who was shut out for not fitting the sign-up policy."""

from datetime import datetime

from django.db import transaction

from accounts import audit
from accounts.models import Departure, User
from accounts.services import operator_power, users

Outcome = Departure.Outcome


@transaction.atomic
def restore(*, departure: Departure, by: User, now: datetime) -> bool:
    """Let the person in again until the policy is asked the next time; False when they aren't out because of this.

    Raises SuperusersOnly.
    """
    return _let_in(departure, by, Outcome.RESTORED, now)


@transaction.atomic
def call_wrong(*, departure: Departure, by: User, now: datetime) -> bool:
    """Let the person in again and don't ask the policy about them any more; False when they aren't out because of this.

    Raises SuperusersOnly.
    """
    return _let_in(departure, by, Outcome.MISTAKE, now)


@transaction.atomic
def ask_again(*, departure: Departure, by: User) -> bool:
    """Ask the policy about the person as about everybody; False when it is. Raises SuperusersOnly."""
    _require_power(departure, by)
    if not Departure.objects.mistaken().filter(user=departure.user_id).update(outcome=Outcome.RESTORED):
        return False
    audit.record("user.asked_about_again", actor=by, target=departure.user)
    return True


def _let_in(departure: Departure, by: User, outcome: str, now: datetime) -> bool:
    by = _require_power(departure, by)
    # The person's row first, as everybody takes them; of two at once one finds the departure open.
    is_open = Departure.objects.open().filter(pk=departure.pk).exists()
    if not is_open or not users.restore(user=departure.user, by=by, outcome=outcome, now=now):
        return False
    if outcome == Outcome.MISTAKE:
        audit.record("user.spared", actor=by, target=departure.user, details={"reason": departure.reason})
    return True


def _require_power(departure: Departure, by: User) -> User:
    by = operator_power.hold(by=by, over=departure.user)
    operator_power.require_power(by=by, over=[departure.user_id])
    return by
