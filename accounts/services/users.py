"""People: their first sign-in, suspension and the waiting list."""

import re
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import audit
from accounts.models import Departure, Membership, Organization, User
from accounts.services import access_ended, departures
from accounts.services.access_ended import Why
from core.crypto import random_hex

_NOT_SLUG = re.compile(r"[^a-z0-9]+")
_LONGEST_SLUG_STEM = 80


def ensure_personal_organization(*, user: User) -> Organization:
    """The person's own organization, of which they are the owner; made at the first call."""
    existing = Organization.objects.filter(personal_for=user).first()
    if existing:
        return existing
    stem = _NOT_SLUG.sub("-", user.username.lower()).strip("-")[:_LONGEST_SLUG_STEM].strip("-") or "person"
    for slug in (stem, f"{stem}-{random_hex(2)}", f"{stem}-{random_hex(8)}"):
        try:
            with transaction.atomic():
                organization = Organization.objects.create(name=user.display_name, slug=slug, personal_for=user)
                Membership.objects.create(organization=organization, user=user, role=Membership.Role.OWNER)
        except IntegrityError:
            # The slug is taken, or another request has just made this person's organization.
            if existing := Organization.objects.filter(personal_for=user).first():
                return existing
        else:
            return organization
    raise RuntimeError(f"no free slug for the personal organization of user {user.pk}")


def follow_github(*, user: User, login: str, email: str) -> None:
    """Take over the person's login and address at GitHub, where they are other ones by now."""
    for field, action, value in (
        ("github_login", "user.renamed", login),
        ("email", "user.email_changed", email),
    ):
        before: str = getattr(user, field)
        if before == value:
            continue
        with transaction.atomic():
            # Of two sign-ins at once one changes it, and writes it down.
            if User.objects.filter(pk=user.pk, **{field: before}).update(**{field: value}):
                audit.record(action, actor=user, target=user, details={"from": before, "to": value})


@transaction.atomic
def suspend(*, user: User, by: User | None) -> bool:
    """Shut the person out at once, everywhere; False when they already were.

    Who is out for not fitting the sign-up policy is out for this as well from now on, and so doesn't come back by
    fitting again.
    """
    now = timezone.now()
    if User.objects.filter(pk=user.pk, is_active=True).update(is_active=False):
        access_ended.end(user=user, why=Why.SUSPENDED, by=by, now=now)
    elif not departures.close(user=user, outcome=Departure.Outcome.SUSPENDED, by=by, now=now):
        return False
    audit.record("user.suspended", actor=by, target=user)
    return True


@transaction.atomic
def restore(
    *, user: User, by: User | None, outcome: str = Departure.Outcome.RESTORED, now: datetime | None = None
) -> bool:
    """Let a suspended person in again; their tokens work again unless they were revoked.

    Where they were out for not fitting the sign-up policy, `outcome` says what became of that.
    """
    if not User.objects.filter(pk=user.pk, is_active=False, waitlisted_at=None).update(is_active=True):
        return False
    departures.close(user=user, outcome=outcome, by=by, now=now or timezone.now())
    audit.record("user.restored", actor=by, target=user)
    return True


@transaction.atomic
def approve_from_waitlist(*, user: User, by: audit.Actor | None) -> bool:
    """Let a waiting person in; False when they weren't waiting."""
    waiting = User.objects.filter(pk=user.pk, waitlisted_at__isnull=False)
    if not waiting.update(is_active=True, waitlisted_at=None):
        return False
    audit.record("user.approved", actor=by, target=user)
    return True


@transaction.atomic
def revoke_everything(*, user: User, by: audit.Actor | None, now: datetime) -> int:
    """End all access that the person was given; returns how many tokens, keys and browsers of theirs that ended."""
    ended = access_ended.end(user=user, why=Why.SIGNED_OUT, by=by, now=now)
    counts = {"tokens": ended["access tokens"], "keys": ended["API keys"], "browsers": ended["browser sessions"]}
    audit.record("user.sessions_revoked", actor=by, target=user, details=counts)
    return sum(counts.values())
