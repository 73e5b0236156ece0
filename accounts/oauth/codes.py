"""Authorization codes: kept as digests for a minute, redeemed once. A second use ends the login of the first."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import transaction

from accounts import audit
from accounts.models import AuthorizationCode, Login, OAuthClient, User
from accounts.models.organizations import Organization
from accounts.oauth import logins
from core.crypto import digest

LIFETIME = timedelta(minutes=1)


def keep(  # noqa: PLR0913 - a code stands for this much
    code: str,
    *,
    client: OAuthClient,
    user: User,
    organization: Organization,
    redirect_uri: str,
    scopes: Iterable[str],
    resource: Sequence[str],
    code_challenge: str,
    nonce: str,
    now: datetime,
) -> None:
    """Remember what `user` has agreed to, for whoever brings the code."""
    row = AuthorizationCode.objects.create(
        digest=digest(code),
        client=client,
        user=user,
        organization=organization,
        redirect_uri=redirect_uri,
        scope=" ".join(scopes),
        resource=list(resource),
        code_challenge=code_challenge,
        nonce=nonce,
        access_epoch=user.access_epoch,
        created_at=now,
        expires_at=now + LIFETIME,
    )
    audit.record(
        "oauth_client.approved",
        actor=user,
        target=client,
        organization_id=organization.pk,
        details={"scope": row.scope, "redirect_uri": redirect_uri},
    )


def scopes_of(code: str) -> list[str]:
    """What was agreed to; nothing for an unknown code."""
    scope = AuthorizationCode.objects.filter(digest=digest(code)).values_list("scope", flat=True).first()
    return (scope or "").split()


@transaction.atomic
def find(code: str, *, client: OAuthClient, now: datetime) -> AuthorizationCode | None:
    """The code's row, held until the caller's transaction ends; None when it can't be redeemed by this client.

    One that was redeemed before is in somebody else's hands: the login that it began ends (RFC 9700, section 4.5).
    """
    held = AuthorizationCode.objects.select_for_update(of=("self",)).select_related("user", "organization")
    row = held.filter(digest=digest(code), client=client).first()
    if row is None:
        return None
    if row.redeemed_at is not None:
        if row.login_id is not None:
            logins.end(login_id=row.login_id, why=logins.Why.CODE_REPLAYED, by=None, now=now)
        return None
    return row if row.expires_at > now else None


def redeem(row: AuthorizationCode, *, login: Login, now: datetime) -> bool:
    """Use the code up; False when somebody else just has."""
    unused = AuthorizationCode.objects.filter(pk=row.pk, redeemed_at=None)
    return bool(unused.update(redeemed_at=now, login=login))
