"""Clearing what is over."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db.models import Q

from accounts.models import AccessToken, CLILogin
from accounts.services import cli_login

# Operators may still want to see a failed login of this morning, or a token revoked last week.
_LOGINS_STAY = timedelta(days=1)
_TOKENS_STAY = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows went."""

    logins: int
    tokens: int
    sessions: int


def prune(*, now: datetime) -> Pruned:
    """Delete CLI logins a day after their end, tokens a month after theirs, and expired browser sessions."""
    ended = Q(expires_at__lt=now - _TOKENS_STAY) | Q(revoked_at__lt=now - _TOKENS_STAY)
    cli_login.erase_what_is_over(now=now)
    sessions = Session.objects.filter(expire_date__lt=now).delete()[0]
    UserSession.objects.exclude(session_key__in=Session.objects.values("session_key")).delete()
    return Pruned(
        logins=CLILogin.objects.filter(expires_at__lt=now - _LOGINS_STAY).delete()[0],
        tokens=AccessToken.objects.filter(ended).delete()[0],
        sessions=sessions,
    )
