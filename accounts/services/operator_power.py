"""Over whom an operator has power: the one rule, which every service that acts for an operator asks first."""

import uuid
from collections.abc import Iterable

from django.db.models import Q

from accounts import policies
from accounts.models import Organization, User
from accounts.policies import Resource
from core.errors import Forbidden


class SuperusersOnly(Forbidden):
    """403: what concerns operators is for superusers."""

    default = "Only a superuser may do this to an operator. Ask a superuser."


def require_power(*, by: User, over: Iterable[uuid.UUID]) -> None:
    """Raise SuperusersOnly unless `by` may act on all of these people, and so on what is theirs."""
    if not has_power(by=by, over=over):
        raise SuperusersOnly


def has_power(*, by: User, over: Iterable[uuid.UUID]) -> bool:
    """Superusers have power over everybody, other operators over themselves and whoever is no operator.

    Who is suspended stays an operator. The people are read anew, since a row may have been at hand for a while.
    """
    # Of superusers it need not be known whom it is about: they may act on everybody.
    others = User.objects.filter(pk__in=set(over)).exclude(pk=by.pk)
    is_operator = by.is_superuser or others.filter(Q(is_staff=True) | Q(is_superuser=True)).exists()
    return policies.decide(by, "admin.have-power", Resource(type="User", id="them", is_operator=is_operator)).allowed


def hold(*, by: User, over: User) -> User:
    """The operator as they are by now: both stay so until the caller's transaction ends. Raises SuperusersOnly.

    So of two who take each other's power, or shut each other out, at once, the later one has lost theirs.
    """
    held = User.objects.select_for_update(no_key=True).filter(pk__in={by.pk, over.pk}).order_by("pk")
    found = {user.pk: user for user in held}.get(by.pk)
    if found is None or not (found.is_active and found.is_staff):
        raise SuperusersOnly("You are no operator any more. Nothing was changed.")
    return found


def require_power_now(*, by: User, over: Iterable[uuid.UUID]) -> None:
    """Raise SuperusersOnly as `require_power` does, of the operator's row that `hold` locks for this transaction."""
    require_power(by=hold(by=by, over=by), over=over)


def require_superuser(*, by: User, what: str) -> None:
    """Raise SuperusersOnly unless `by` is one; `what` ends the sentence "Only a superuser may …"."""
    if not by.is_superuser:
        raise SuperusersOnly(f"Only a superuser may {what}. Ask a superuser.")


def members_of(organization: Organization) -> set[uuid.UUID]:
    """Give the ids of everybody who belongs to the organization, whom an action on it concerns."""
    return set(organization.memberships.values_list("user_id", flat=True))
