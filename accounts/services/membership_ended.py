"""What ends when somebody is no member of an organization any more: they were removed, or have left.

Apps above this one say here what ends of theirs, as in `access_ended`; all of it in the caller's transaction.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from accounts import audit
from accounts.models import AccessToken, APIKey, Invitation, Login


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipEnded:
    """Who is no member of what any more, and by whom that was decided."""

    organization_id: uuid.UUID
    user_id: uuid.UUID
    by: audit.Actor
    now: datetime


Part = Callable[[MembershipEnded], int]
_parts: dict[str, Part] = {}


def part(name: str) -> Callable[[Part], Part]:
    """Register what ends something, and says of how much."""

    def register(end_it: Part) -> Part:
        _parts[name] = end_it
        return end_it

    return register


def end(ended: MembershipEnded) -> dict[str, int]:
    """End what the person was given as a member, whose row is gone; tells of each part how much ended."""
    return {name: end_it(ended) for name, end_it in _parts.items()}


@part("access tokens for the organization")
def _tokens(ended: MembershipEnded) -> int:
    """They are refused anyhow, and would work again if the person came back."""
    own = AccessToken.objects.filter(user_id=ended.user_id, organization_id=ended.organization_id, revoked_at=None)
    return own.update(revoked_at=ended.now)


@part("API keys for the organization")
def _keys(ended: MembershipEnded) -> int:
    """The person's own; those of workers are the organization's."""
    own = APIKey.objects.of(ended.user_id).filter(organization_id=ended.organization_id, revoked_at=None)
    return own.update(revoked_at=ended.now)


@part("logins with tokens for the organization that others verify")
def _logins(ended: MembershipEnded) -> int:
    own = Login.objects.filter(user_id=ended.user_id, organization_id=ended.organization_id)
    # A browser has one for each organization, and gets another one when its person comes back.
    browsers, _ = own.filter(browser__isnull=False).delete()
    return browsers + own.alive().update(revoked_at=ended.now, revoked_for="membership ended")


@part("invitations to the organization they made")
def _invitations(ended: MembershipEnded) -> int:
    made = Invitation.objects.filter(organization_id=ended.organization_id, made_by_id=ended.user_id)
    return made.withdraw(now=ended.now, by=ended.by)
