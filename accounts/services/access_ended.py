"""What ends when somebody's access does. The one place that suspending, signing out everywhere and deleting call.

Apps above this one give out access of their own, and say here how it ends: each part registers under the name that
docs/access-ended.md has for it. All parts run in the caller's transaction, so that access ends as a whole.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import F

from accounts import audit
from accounts.models import AccessToken, CLILogin, IssuerPerson, Login, User


class Why(StrEnum):
    """What has ended somebody's access."""

    SUSPENDED = "suspended"
    SIGNED_OUT = "signed out everywhere"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Whose access has ended, why, and by whom; `by` is None when this server ends it.

    Who `has_left` no longer fits the sign-up policy: beside what ends for everybody who is suspended, what they have
    elsewhere ends too.
    """

    user: User
    why: Why
    by: audit.Actor | None
    now: datetime
    has_left: bool = False


Part = Callable[[Ended], int]
_parts: dict[str, Part] = {}


def part(name: str) -> Callable[[Part], Part]:
    """Register what ends something, and says of how much; it does no harm when called again."""

    def register(end_it: Part) -> Part:
        _parts[name] = end_it
        return end_it

    return register


def names() -> list[str]:
    """What ends, by the names in docs/access-ended.md."""
    return list(_parts)


@transaction.atomic
def end(*, user: User, why: Why, by: audit.Actor | None, now: datetime, has_left: bool = False) -> dict[str, int]:
    """End all that the person was given; tells of each part how much ended."""
    ended = Ended(user=user, why=why, by=by, now=now, has_left=has_left)
    return {name: end_it(ended) for name, end_it in _parts.items()}


@part("requests under way")
def _requests(ended: Ended) -> int:
    """Give nothing that lasts to requests let in until now (`accounts.services.access`), and end their sessions.

    First of all: what is being given out at this moment holds the person's row, and is there by then.
    """
    return User.objects.filter(pk=ended.user.pk).update(access_epoch=F("access_epoch") + 1)


@part("cached credentials")
def _cache(ended: Ended) -> int:
    """What was kept in the epoch until now opens no more."""
    return User.objects.filter(pk=ended.user.pk).update(cache_epoch=F("cache_epoch") + 1)


@part("CLI logins under way")
def _logins(ended: Ended) -> int:
    """Those that were approved and that no tool has picked up.

    Before the tokens: one that is being picked up at this moment holds its row, and its token is there by then.
    """
    approved = CLILogin.objects.filter(decided_by=ended.user, state=CLILogin.State.APPROVED)
    return approved.update(state=CLILogin.State.DENIED)


@part("access tokens")
def _tokens(ended: Ended) -> int:
    """Revoke them, but not those of a suspended person: they are refused while it lasts, and work again afterwards."""
    if ended.why == Why.SUSPENDED:
        return 0
    return AccessToken.objects.of(ended.user).filter(revoked_at=None).update(revoked_at=ended.now)


@part("tokens of other issuers")
def _foreign_tokens(ended: Ended) -> int:
    """Refuse those that were issued until now, for which nobody needs to know them."""
    return IssuerPerson.objects.filter(user=ended.user).update(valid_from=ended.now)


@part("logins with tokens that others verify")
def _verified_logins(ended: Ended) -> int:
    """End them, but not those of a suspended person, which are refused while it lasts; a browser's end with it."""
    if ended.why == Why.SUSPENDED:
        return 0
    return Login.objects.of(ended.user).alive().update(revoked_at=ended.now)


@part("browser sessions")
def _browsers(ended: Ended) -> int:
    listed = UserSession.objects.filter(user=ended.user)
    keys = list(listed.values_list("session_key", flat=True))
    Session.objects.filter(session_key__in=keys).delete()
    # Of two at once each counts what it ended itself.
    count, _ = listed.filter(session_key__in=keys).delete()
    return int(count)
