"""Logins, to which tokens that others verify belong: begun, listed, ended."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from allauth.usersessions.models import UserSession
from django.db import transaction

from accounts import audit
from accounts.bearer import Suspended
from accounts.models import Consent, Login, Membership, OAuthClient, User
from accounts.models.organizations import Organization
from accounts.models.tokens import Client
from accounts.oauth import access_tokens
from accounts.services import access
from core.errors import NotFound, Unauthenticated

# Whatever is done with a login, it is over then.
LONGEST = timedelta(days=90)
_USE_OF_CLIENT_IS_NOTED_EVERY = timedelta(hours=1)


class Why(StrEnum):
    """What has ended a login."""

    REVOKED = "revoked"
    CLIENT_REVOKED = "revoked by the client"
    CODE_REPLAYED = "its code was used twice"
    REFRESH_REPLAYED = "an old refresh token was used"


class NotSignedIn(Unauthenticated):
    """401: no browser session that is signed in."""

    default = "You are not signed in. Sign in, and try again."


class NoSuchLogin(NotFound):
    """404: the person has no such app."""

    default = "This app or browser is not signed in any more."


@dataclass(frozen=True, slots=True)
class Approval:
    """Who has let a client in, and in which epoch of their access."""

    id: uuid.UUID
    access_epoch: int


def begin(  # noqa: PLR0913 - a login is this much
    *,
    approval: Approval,
    organization: Organization,
    client: OAuthClient,
    scopes: Sequence[str],
    resource: Sequence[str],
    caller: Client,
    now: datetime,
) -> Login:
    """A new login of the client as the person who let it in. `caller` tells where it called from.

    To be called in a transaction. Raises AccessEnded when the person's access has ended since they did.
    """
    access.hold(approval)
    login = Login.objects.create(
        user_id=approval.id,
        organization=organization,
        client=client,
        client_name=client.display_name[:100],
        hostname=caller.hostname,
        address=caller.address,
        user_agent=caller.user_agent,
        scope=" ".join(scopes),
        resource=list(resource),
        created_at=now,
        ends_at=now + LONGEST,
    )
    audit.record("login.begun", actor=login.user, target=login, organization_id=organization.pk)
    return login


def is_alive(login: Login, *, now: datetime) -> bool:
    """Whether the login, its person and its organization are as they have to be for a new token."""
    return (
        login.revoked_at is None
        and login.ends_at > now
        and login.user.is_active
        and role_in(login.organization, login.user_id) is not None
    )


def note_client(client: OAuthClient, *, now: datetime) -> None:
    """Write down that the client is in use, at most once an hour."""
    if client.last_used_at is None or now - client.last_used_at >= _USE_OF_CLIENT_IS_NOTED_EVERY:
        OAuthClient.objects.filter(pk=client.pk).update(last_used_at=now)


def role_in(organization: Organization, user_id: uuid.UUID) -> str | None:
    """The person's role in the organization; None once they have left it, and while it is suspended."""
    memberships = Membership.objects.filter(
        user_id=user_id, organization_id=organization.pk, organization__suspended_at=None
    )
    return memberships.values_list("role", flat=True).first()


@transaction.atomic
def end(*, login_id: uuid.UUID, why: Why, by: audit.Actor | None, now: datetime) -> bool:
    """End a login: its refresh tokens at once, its access tokens here at once and elsewhere within five minutes.

    False when it was over before.
    """
    login = Login.objects.filter(pk=login_id).first()
    if login is None or not Login.objects.alive().filter(pk=login_id).update(revoked_at=now, revoked_for=why):
        return False
    # Who ends an app's login means the app: it asks anew.
    if why == Why.REVOKED:
        Consent.objects.filter(user=login.user_id, client=login.client_id).delete()
    audit.record(
        "login.ended", actor=by, target=login, organization_id=login.organization_id, details={"why": str(why)}
    )
    return True


def end_own(*, login_id: uuid.UUID, user: User, now: datetime) -> Login:
    """End one of the person's own logins, as they asked. Raises NoSuchLogin."""
    login = Login.objects.of(user).filter(pk=login_id, browser=None).first()
    if login is None:
        raise NoSuchLogin
    end(login_id=login.pk, why=Why.REVOKED, by=user, now=now)
    return login


def of_apps(*, user: User, now: datetime) -> list[Login]:
    """The person's apps that are signed in by the authorization server, newest first."""
    alive = Login.objects.of(user).alive().filter(browser=None, ends_at__gt=now)
    return list(alive.select_related("organization", "client").order_by("-created_at", "-pk"))


def token_of_browser(
    *, user: User, organization: Organization, session_key: str | None, client: Login, now: datetime
) -> str:
    """A token for the pages of other services that run in this browser; it ends with the browser's session.

    `client` tells of the browser. Raises NotSignedIn, Suspended or AccessEnded.
    """
    if organization.suspended_at is not None:
        raise Suspended
    browser = UserSession.objects.filter(user=user, session_key=session_key or "").first()
    membership = Membership.objects.filter(user=user, organization=organization).first()
    if browser is None or membership is None:
        raise NotSignedIn
    login = Login.objects.alive().filter(browser=browser, organization=organization).first()
    if login is None or login.ends_at - now < LONGEST / 2:
        login = _begin_in_browser(browser, user, organization, client, now)
    login.user, login.organization = user, organization
    return access_tokens.issue(login=login, role=membership.role, now=now)


@transaction.atomic
def _begin_in_browser(
    browser: UserSession, user: User, organization: Organization, client: Login, now: datetime
) -> Login:
    access.hold(user)
    facts = {
        "user": user,
        "address": client.address,
        "user_agent": client.user_agent,
        "ends_at": now + LONGEST,
        "revoked_at": None,
    }
    login, _made = Login.objects.update_or_create(
        browser=browser, organization=organization, defaults=facts, create_defaults={**facts, "created_at": now}
    )
    return login
