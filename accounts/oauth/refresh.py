"""Refresh tokens: each has one successor, which is a function of itself.

However many requests bring the same token at once, or again because an answer was lost, all get the same next one, so
that the chain of a login stays one line: who brings a token of before, later than half a minute after it was replaced,
shows that two hold the chain, and the login ends (RFC 9700, section 4.14.2). The token is needed to make its successor,
and so is a key: neither a copy of the database nor a key alone is enough.
"""

import base64
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import transaction

from accounts.models import Login, OAuthClient, RefreshToken
from accounts.oauth import logins
from core.crypto import derived_keys, digest

GRACE = timedelta(seconds=30)
IDLE = timedelta(days=30)
_PURPOSE = "crayon refresh token successor"


def first() -> str:
    """A new token of 256 random bits."""
    return secrets.token_urlsafe(32)


def successor(token: str) -> str:
    """The token after this one: the one that is there already, else by the newest key."""
    made = list(_successors(token))
    known = RefreshToken.objects.filter(digest__in=[digest(one) for one in made]).values_list("digest", flat=True)
    there = {bytes(one) for one in known}
    return next((one for one in made if digest(one) in there), made[0])


@transaction.atomic
def find(token: str, *, client: OAuthClient, now: datetime) -> RefreshToken | None:
    """The token's row with its login, which is held until the caller's transaction ends; None when it is no good.

    Whoever refreshes, revokes and ends a login takes turns at the login's row. A replayed token ends it.
    """
    login_id = RefreshToken.objects.filter(digest=digest(token)).values_list("login_id", flat=True).first()
    if login_id is None:
        return None
    held = Login.objects.select_for_update(of=("self",)).select_related("user", "organization")
    login = held.filter(pk=login_id, client=client).first()
    row = RefreshToken.objects.filter(digest=digest(token)).first()
    if login is None or row is None or not logins.is_alive(login, now=now):
        return None
    if row.rotated_at is not None and now - row.rotated_at > GRACE:
        logins.end(login_id=login.pk, why=logins.Why.REFRESH_REPLAYED, by=None, now=now)
        return None
    if row.expires_at <= now:
        return None
    row.login = login
    return row


def rotate(row: RefreshToken, *, to: str, now: datetime) -> None:
    """Put the successor in the token's place. Again within the grace time it changes nothing."""
    RefreshToken.objects.filter(pk=row.pk, rotated_at=None).update(rotated_at=now)
    keep(to, login=row.login, now=now)


def keep(token: str, *, login: Login, now: datetime) -> None:
    """Remember a token of the login; it expires when it isn't used, or with the login."""
    row = RefreshToken(digest=digest(token), login=login, created_at=now, expires_at=min(now + IDLE, login.ends_at))
    RefreshToken.objects.bulk_create([row], ignore_conflicts=True)


def login_of(token: str, *, client: OAuthClient) -> uuid.UUID | None:
    """The login of this client's to which a token belongs, whether or not it was replaced."""
    found = RefreshToken.objects.filter(digest=digest(token), login__client=client)
    return found.values_list("login_id", flat=True).first()


def _successors(token: str) -> Iterator[str]:
    for key in derived_keys(purpose=_PURPOSE):
        made = hmac.digest(key, token.encode(), hashlib.sha256)
        yield base64.urlsafe_b64encode(made).rstrip(b"=").decode()
