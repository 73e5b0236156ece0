"""What operators do to machines: what their people do, where the operator has power over those whom it concerns."""

import uuid
from collections.abc import Callable
from datetime import datetime

from django.db import transaction

from accounts import audit
from accounts.models import Organization, User
from accounts.services import operator_power
from accounts.services.operator_power import has_power, require_power_now
from clouddev.models import IdlePolicy, Machine, WebhookToken
from clouddev.services import destruction, join, members, power, tokens
from clouddev.services.access import deciders_of
from core.errors import Conflict

_TRANSFER = "transfer somebody's workspace"
_NUMBERS = ("stop_after_minutes", "warn_after_days", "days_to_react", "then")


class NotToYourself(Conflict):
    """409: an operator can't take a machine."""

    default = "You can't transfer somebody's workspace to yourself. Ask another superuser."


def may(*, machine: Machine, by: User) -> bool:
    """Whether the operator may do anything to the machine."""
    return has_power(by=by, over=deciders_of(machine))


def start(*, machine: Machine, by: User, now: datetime) -> bool:
    """Start it; False when it runs already. Raises SuperusersOnly, and as `power.start` does."""
    return bool(power.start(machine=machine, actor=by, now=now, claim=_if_power(machine, by)))


def stop(*, machine: Machine, by: User, now: datetime) -> bool:
    """Stop it; False when it is stopped. Raises SuperusersOnly, and as `power.stop` does."""
    return bool(power.stop(machine=machine, actor=by, now=now, claim=_if_power(machine, by)))


@transaction.atomic
def destroy(*, machine: Machine, by: User) -> bool:
    """Destroy it; False when that was under way. Raises SuperusersOnly."""
    require_power_now(by=by, over=deciders_of(machine))
    was_there = machine.state != Machine.State.DESTROYING
    destruction.destroy(machine=machine, actor=by)
    return was_there


def transfer(*, machine: Machine, login: str, by: User, now: datetime) -> bool:
    """Make it somebody else's; False when it was theirs. For superusers, and never to themselves.

    Whoever gets a machine reads its key, so operators may not do this to each other. Raises SuperusersOnly,
    NotToYourself, and what `join.hand_over` does: the new owner isn't asked, but has to have room.
    """
    operator_power.require_superuser(by=by, what=_TRANSFER)
    user = members.person(login)
    if user.pk == by.pk:
        raise NotToYourself
    with transaction.atomic():
        join.hold_organization(user)
        operator_power.require_superuser(by=operator_power.hold(by=by, over=user), what=_TRANSFER)
        join.hand_over(machine=machine, user=user, actor=by, now=now)
    return Machine.objects.filter(pk=machine.pk).exclude(owner_id=machine.owner_id).exists()


def may_revoke(*, token: WebhookToken, by: User) -> bool:
    """Whether the operator may revoke it."""
    return has_power(by=by, over=_concerned(token))


@transaction.atomic
def revoke_webhook_token(*, token: WebhookToken, by: User, now: datetime) -> bool:
    """Put it on the revocation list. Raises SuperusersOnly and AlreadyRevoked."""
    require_power_now(by=by, over=_concerned(token))
    tokens.revoke_webhook_token(jti=token.pk, actor=by, now=now)
    return True


def may_set_policy(*, organization: Organization, by: User) -> bool:
    """Whether the operator may say what becomes of the organization's idle machines."""
    return has_power(by=by, over=_people_of(organization))


@transaction.atomic
def save_policy(*, policy: IdlePolicy, by: User) -> None:
    """Save an organization's idle policy, new or changed. Raises SuperusersOnly."""
    require_power_now(by=by, over=_people_of(policy.organization))
    is_new = policy.pk is None
    wanted = {name: getattr(policy, name) for name in _NUMBERS}
    if not is_new and IdlePolicy.objects.filter(pk=policy.pk).values(*_NUMBERS).first() == wanted:
        return
    policy.save()
    _record("idle_policy.made" if is_new else "idle_policy.changed", policy, by)


@transaction.atomic
def delete_policy(*, policy: IdlePolicy, by: User) -> None:
    """Delete an organization's idle policy. Raises SuperusersOnly."""
    require_power_now(by=by, over=_people_of(policy.organization))
    # Of two at once one deletes it, and writes it down.
    if IdlePolicy.objects.filter(pk=policy.pk).delete()[0]:
        _record("idle_policy.deleted", policy, by)


def _if_power(machine: Machine, by: User) -> Callable[[], None]:
    return lambda: require_power_now(by=by, over=deciders_of(machine))


def _concerned(token: WebhookToken) -> set[uuid.UUID]:
    makers = {token.made_by_id} if token.made_by_id else set()
    return deciders_of(token.machine) | makers


def _people_of(organization: Organization) -> set[uuid.UUID]:
    """Give the ids of the organization's members, and of people who left it but own a machine there."""
    owners = Machine.objects.filter(organization=organization).values_list("owner_id", flat=True)
    return operator_power.members_of(organization) | set(owners)


def _record(action: str, policy: IdlePolicy, by: User) -> None:
    audit.record(
        action, actor=by, target=policy,
        details={name: getattr(policy, name) for name in _NUMBERS},
    )  # fmt: skip
