"""What operators do about people and about each other. Each change leaves its audit row."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.contrib.auth.backends import ModelBackend
from django.db import transaction

from accounts import audit
from accounts.models import AccessToken, APIKey, Organization, User
from accounts.services import api_keys, operator_power, organizations, tokens, users
from core.crypto import digest
from core.errors import Conflict, TooManyRequests
from core.network_limits import NetworkLimit, SharedLimit
from core.rate_limits import RateLimit

# Each attempt costs a slow hash; an office behind one address has a handful of operators.
ATTEMPTS_PER_ADDRESS = NetworkLimit("operator-sign-in-address", 10, "minute")
ATTEMPTS_OF_ALL = RateLimit("operator-sign-in-of-all", "60/minute")
# Somebody who locks an operator out this way doesn't lock them out of signing in with GitHub.
ATTEMPTS_PER_NAME = RateLimit("operator-sign-in-name", "20/hour")
# Of one process: a hash keeps a core busy for a good part of a second, and everybody else shares the cores.
_HASHES_AT_ONCE = threading.BoundedSemaphore(2)


class NotYourself(Conflict):
    """409: operators can't shut themselves out."""

    default = "You can't suspend yourself. Ask another operator."


def count_attempt(*, username: str, address: str) -> None:
    """Count an attempt to sign in with a password. Raises TooManyRequests."""
    SharedLimit(ATTEMPTS_PER_ADDRESS, ATTEMPTS_OF_ALL).spend(address)
    ATTEMPTS_PER_NAME.spend(digest(username.casefold()).hex())


def find_by_password(*, username: str, password: str) -> User | None:
    """The person with this name and password who may sign in, for the price of one hash whatever is typed.

    Django asks each of its backends, and some hash again, or not at all for a name without a password. Raises
    TooManyRequests while two others are being looked at.
    """
    if not _HASHES_AT_ONCE.acquire(blocking=False):
        raise TooManyRequests(retry_after=1)
    try:
        user = ModelBackend().authenticate(None, username=username, password=password)
    finally:
        _HASHES_AT_ONCE.release()
    if not isinstance(user, User):
        return None
    # What a session needs to know: who looked at the password.
    user.backend = f"{ModelBackend.__module__}.{ModelBackend.__qualname__}"
    return user


def record_sign_in(*, user: User) -> None:
    """Note that an operator signed in with a password."""
    audit.record("operator.signed_in", actor=user, target=user)


def record_failed_sign_in(*, username: str) -> None:
    """Note a wrong password, or a right one of somebody who isn't an operator.

    A name that nobody has is not kept: it may be a password typed into the wrong field.
    """
    user = User.objects.filter(username=username).first()
    audit.record("operator.sign_in_failed", actor=None, target=user, details={"known_name": user is not None})


@transaction.atomic
def suspend(*, user: User, by: User) -> bool:
    """Shut a person out; False when they already were. Raises NotYourself or SuperusersOnly."""
    if user.pk == by.pk:
        raise NotYourself
    by = operator_power.hold(by=by, over=user)
    operator_power.require_power(by=by, over=[user.pk])
    return users.suspend(user=user, by=by)


@transaction.atomic
def restore(*, user: User, by: User) -> bool:
    """Let a suspended person in again; False when they weren't suspended. Raises SuperusersOnly."""
    by = operator_power.hold(by=by, over=user)
    operator_power.require_power(by=by, over=[user.pk])
    return users.restore(user=user, by=by)


@transaction.atomic
def approve(*, user: User, by: User) -> bool:
    """Let a waiting person in; False when they weren't waiting. Raises SuperusersOnly."""
    by = operator_power.hold(by=by, over=user)
    operator_power.require_power(by=by, over=[user.pk])
    return users.approve_from_waitlist(user=user, by=by)


@transaction.atomic
def revoke_everything(*, user: User, by: User, now: datetime) -> int:
    """Sign all of a person's apps and browsers out; returns how many. Raises SuperusersOnly."""
    by = operator_power.hold(by=by, over=user)
    operator_power.require_power(by=by, over=[user.pk])
    return users.revoke_everything(user=user, by=by, now=now)


@transaction.atomic
def revoke_token(*, token: AccessToken, by: User, now: datetime) -> bool:
    """Sign one tool out; False when its token was revoked before. Raises SuperusersOnly."""
    operator_power.require_power_now(by=by, over=[token.user_id])
    tokens.revoke(token_id=token.pk, user_id=token.user_id, by=by, now=now)
    return token.revoked_at is None


@transaction.atomic
def revoke_key(*, key: APIKey, by: User, now: datetime) -> bool:
    """Revoke an API key; False when it was before. Raises SuperusersOnly.

    A worker's key concerns everybody in its organization.
    """
    operator_power.require_power_now(
        by=by, over=[key.user_id] if key.user_id else operator_power.members_of(key.organization)
    )
    return api_keys.end(key=key, by=by, now=now)


@transaction.atomic
def suspend_organization(*, organization: Organization, by: User, now: datetime) -> bool:
    """Shut an organization, with all that is in it; False when it was. Raises SuperusersOnly for an operator's."""
    # First of all, in everybody's order: nobody becomes a member meanwhile.
    if not Organization.objects.filter(pk=organization.pk, suspended_at=None).update(suspended_at=now):
        return False
    operator_power.require_power_now(by=by, over=operator_power.members_of(organization))
    organizations.record("organization.suspended", organization, by)
    return True


@transaction.atomic
def restore_organization(*, organization: Organization, by: User) -> bool:
    """Open a suspended organization again; False when it was open. Raises SuperusersOnly for an operator's."""
    if not Organization.objects.filter(pk=organization.pk, suspended_at__isnull=False).update(suspended_at=None):
        return False
    operator_power.require_power_now(by=by, over=operator_power.members_of(organization))
    organizations.record("organization.restored", organization, by)
    return True


@transaction.atomic
def set_role(*, user: User, is_staff: bool, is_superuser: bool, by: User) -> bool:
    """Make the person an operator, a superuser, or neither; False when they were that already.

    Superusers are always operators. Raises SuperusersOnly, and NotYourself about one's own role, so
    that a server is never left without a superuser by mistake.
    """
    operator_power.require_superuser(by=operator_power.hold(by=by, over=user), what="make somebody an operator")
    is_staff = is_staff or is_superuser
    other = User.objects.filter(pk=user.pk).exclude(is_staff=is_staff, is_superuser=is_superuser)
    if user.pk == by.pk and other.exists():
        raise NotYourself("You can't change your own role. Ask another superuser.")
    # Of two at once one changes it, and writes it down.
    if not other.update(is_staff=is_staff, is_superuser=is_superuser):
        return False
    audit.record(
        "operator.role_changed",
        actor=by,
        target=user,
        details={"is_staff": is_staff, "is_superuser": is_superuser},
    )
    return True


@transaction.atomic
def add(*, user: User, by: User) -> None:
    """Save a new operator who signs in with a password. Raises SuperusersOnly."""
    operator_power.require_superuser(by=operator_power.hold(by=by, over=by), what="add an operator")
    user.is_staff = True
    user.save(force_insert=True)
    audit.record("operator.added", actor=by, target=user)


@contextmanager
def auditing_password_of(*, user_id: uuid.UUID, by: User) -> Iterator[None]:
    """Leave an audit row when the person's password is another one afterwards. Raises SuperusersOnly for another's."""
    with transaction.atomic():
        if user_id != by.pk:
            operator_power.require_superuser(
                by=operator_power.hold(by=by, over=by), what="set another operator's password"
            )
        before = _password_hash(user_id)
        yield
        if _password_hash(user_id) != before:
            user = User.objects.filter(pk=user_id).first()
            audit.record("operator.password_changed", actor=by, target=user)


def _password_hash(user_id: uuid.UUID) -> str | None:
    return User.objects.filter(pk=user_id).values_list("password", flat=True).first()
