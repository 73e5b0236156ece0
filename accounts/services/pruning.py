"""Deleting what has expired: logins, tokens, keys, sessions, invitations."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db.models import Exists, OuterRef, Q

from accounts.models import AccessToken, APIKey, AuthorizationCode, CLILogin, Departure, Login, RefreshToken
from accounts.oauth import keys
from accounts.services import cli_login, invitations
from core.database import delete_in_batches

# Operators may still want to see a failed login of this morning, or a token revoked last week.
_LOGINS_STAY = timedelta(days=1)
_TOKENS_STAY = timedelta(days=30)
_DEPARTURES_STAY = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows went."""

    logins: int
    tokens: int
    keys: int
    sessions: int
    invitations: int


def prune(*, now: datetime) -> Pruned:
    """Delete CLI logins a day after their end, tokens, keys and invitations a month after theirs, and what is over.

    That is expired browser sessions, logins whose tokens others verify, signing keys, and leavers.
    """
    over = Q(ends_at__lt=now - _TOKENS_STAY) | Q(revoked_at__lt=now - _TOKENS_STAY)
    ended = Q(expires_at__lt=now - _TOKENS_STAY) | Q(revoked_at__lt=now - _TOKENS_STAY)
    cli_login.erase_expired_tokens(now=now)
    sessions = delete_in_batches(Session.objects.filter(expire_date__lt=now))
    # NOT EXISTS: beyond what fits into the database's working memory, NOT IN reads the one table for each row of the
    # other.
    delete_in_batches(UserSession.objects.filter(~Exists(Session.objects.filter(pk=OuterRef("session_key")))))
    # A code that comes again within its day, and a token within its login's month, still ends the login.
    delete_in_batches(AuthorizationCode.objects.filter(expires_at__lt=now - _LOGINS_STAY))
    delete_in_batches(RefreshToken.objects.filter(expires_at__lt=now - _LOGINS_STAY))
    delete_in_batches(Login.objects.filter(over))
    keys.prune(now=now)
    # Those that were called wrong are what spares their people.
    closed = Departure.objects.filter(closed_at__lt=now - _DEPARTURES_STAY)
    delete_in_batches(closed.exclude(outcome=Departure.Outcome.MISTAKE))
    return Pruned(
        logins=delete_in_batches(CLILogin.objects.filter(expires_at__lt=now - _LOGINS_STAY)),
        tokens=delete_in_batches(AccessToken.objects.filter(ended)),
        keys=delete_in_batches(APIKey.objects.filter(ended)),
        sessions=sessions,
        invitations=invitations.forget_over(now=now),
    )
