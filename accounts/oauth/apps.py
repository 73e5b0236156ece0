"""Everything that is signed in as a person: tools with an access token, and logins of the authorization server."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from accounts.models import User
from accounts.oauth import logins
from accounts.services import tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedInApp:
    """A line of the list; `end_address` takes the form that ends it."""

    id: uuid.UUID
    label: str
    address: str
    organization: str
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime
    end_address: str


def signed_in_apps(*, user: User, now: datetime) -> list[SignedInApp]:
    """The person's, newest first."""
    own = user.pk
    by_token = [
        SignedInApp(
            id=token.pk,
            label=token.label,
            address=token.address or "",
            organization="" if token.organization.personal_for_id == own else token.organization.name,
            created_at=token.created_at,
            last_used_at=token.last_used_at,
            expires_at=token.expires_at,
            end_address=reverse("account-app-revoke", kwargs={"token_id": token.pk}),
        )
        for token in tokens.working_tokens(user=user, now=now)
    ]
    by_login = [
        SignedInApp(
            id=login.pk,
            label=login.label,
            address=login.address or "",
            organization="" if login.organization.personal_for_id == own else login.organization.name,
            created_at=login.created_at,
            last_used_at=login.last_used_at,
            expires_at=login.ends_at,
            end_address=reverse("account-login-end", kwargs={"login_id": login.pk}),
        )
        for login in logins.of_apps(user=user, now=now)
    ]
    return sorted([*by_token, *by_login], key=lambda app: (app.created_at, str(app.id)), reverse=True)
