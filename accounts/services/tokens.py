"""Access tokens: issue, list, revoke."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import transaction

from accounts import audit
from accounts.models import AccessToken, Organization, User
from accounts.models.tokens import Client
from accounts.oauth import logins
from accounts.principals import Principal, Proof
from accounts.user_agents import browser_name
from core.crypto import digest, random_hex
from core.errors import Forbidden, NotFound


class NoSuchApp(NotFound):
    """404: no app or browser of this person has that id."""

    default = "This app or browser is not signed in any more."


class NoLogin(Forbidden):
    """403: what was sent is no access token of a login, so there is nothing to sign out."""

    default = "An API key is not signed out but revoked: on this server's page of API keys, where it was made."


@dataclass(frozen=True, slots=True)
class SignedInBrowser:
    """A browser in which a person is signed in."""

    id: int
    name: str
    address: str
    created_at: datetime
    last_seen_at: datetime
    is_current: bool


def issue(*, user: User, organization: Organization, client: Client, now: datetime) -> tuple[AccessToken, str]:
    """A new token for the person's tool: its row, and the plain token, which is not kept.

    The token is 64 hex characters of 32 random bytes.
    """
    plain = random_hex(32)
    row = AccessToken.objects.create(
        digest=digest(plain),
        user=user,
        organization=organization,
        client_name=client.client_name,
        hostname=client.hostname,
        address=client.address,
        user_agent=client.user_agent,
        created_at=now,
        expires_at=now + timedelta(days=settings.ACCESS_TOKEN_DAYS),
    )
    return row, plain


@transaction.atomic
def revoke(*, token_id: uuid.UUID, user_id: uuid.UUID, by: audit.Actor, now: datetime) -> AccessToken:
    """Revoke one token of the person; it stops working with the next request.

    Revoking twice is fine. Raises NoSuchApp when the person has no such token.
    """
    token = AccessToken.objects.filter(pk=token_id, user_id=user_id).first()
    if token is None:
        raise NoSuchApp
    if AccessToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now):
        audit.record("access_token.revoked", actor=by, target=token)
    return token


def log_out(*, caller: Principal, now: datetime) -> None:
    """Revoke the access token that the caller sent, or end the login of the JWT. Raises NoLogin for something else."""
    if caller.proof == Proof.JWT and caller.credential_id is not None:
        logins.end(login_id=caller.credential_id, why=logins.Why.REVOKED, by=caller, now=now)
        return
    if caller.proof != Proof.ACCESS_TOKEN or caller.credential_id is None:
        raise NoLogin
    revoke(token_id=caller.credential_id, user_id=caller.id, by=caller, now=now)


def working_tokens(*, user: User, now: datetime) -> list[AccessToken]:
    """The person's apps that are signed in, newest first."""
    return list(AccessToken.objects.of(user).working(now=now).select_related("organization"))


def browser_sessions(*, user: User, current_key: str | None) -> list[SignedInBrowser]:
    """The person's browsers that are signed in, last seen first; dead ones are dropped on the way.

    `current_key` is the session of the browser that asks.
    """
    sessions = sorted(UserSession.objects.purge_and_list(user), key=lambda session: session.last_seen_at, reverse=True)
    return [
        SignedInBrowser(
            id=session.pk,
            name=browser_name(session.user_agent),
            address=session.ip,
            created_at=session.created_at,
            last_seen_at=session.last_seen_at,
            is_current=session.session_key == current_key,
        )
        for session in sessions
    ]


@transaction.atomic
def end_browser_session(*, session_id: int, user: User) -> None:
    """Sign one browser of the person out. Raises NoSuchApp when they have no such session."""
    listed = UserSession.objects.filter(pk=session_id, user=user)
    session = listed.first()
    # Of two at once one ends it, and writes it down.
    if session is None or not listed.delete()[0]:
        raise NoSuchApp
    SessionStore().delete(session.session_key)
    audit.record("browser_session.ended", actor=user, target_type="UserSession", target_id=str(session_id))


@transaction.atomic
def end_own_browser_session(*, session_key: str | None, user: User) -> None:
    """Sign the browser with this session out, as its person asked; its row in their list goes with it."""
    ended, _ = Session.objects.filter(session_key=session_key or "").delete()
    UserSession.objects.filter(session_key=session_key or "", user=user).delete()
    if ended:
        audit.record("user.signed_out", actor=user, target=user)
