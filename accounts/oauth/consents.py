"""Whether a person has to be asked, and what they have answered before."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from urllib.parse import urlsplit

from accounts.models import Consent, Membership, OAuthClient, User
from accounts.models.oauth import LOOPBACK_HOSTS
from accounts.models.organizations import Organization


def remember(  # noqa: PLR0913 - an answer is this much
    *,
    user: User,
    client: OAuthClient,
    organization: Organization,
    scopes: Iterable[str],
    resource: Sequence[str],
    now: datetime,
) -> None:
    """Note what the person has agreed to, in place of what they agreed to before."""
    facts = {"scope": " ".join(scopes), "resource": list(resource), "given_at": now}
    Consent.objects.update_or_create(user=user, client=client, organization=organization, defaults=facts)


def is_given(  # noqa: PLR0913 - the same
    *,
    user: User,
    client: OAuthClient,
    organization: Organization,
    scopes: Iterable[str],
    resource: Sequence[str],
    redirect_uri: str,
) -> bool:
    """Whether the person has agreed to all of it before, and nobody else can pretend to be the client.

    Anybody may register as any name, and on the person's own machine any program may listen: there, the page is shown
    each time (RFC 8252, section 8.6).
    """
    parts = urlsplit(redirect_uri)
    if not client.is_verified or parts.scheme != "https" or parts.hostname in LOOPBACK_HOSTS:
        return False
    given = Consent.objects.filter(user=user, client=client, organization=organization).first()
    if given is None:
        return False
    return set(scopes) <= set(given.scope.split()) and list(resource) == given.resource


def organizations_of(user: User) -> list[tuple[Organization, str]]:
    """Those in which the person may act, each with their role; their own first."""
    memberships = Membership.objects.filter(user=user, organization__suspended_at=None).select_related("organization")
    found = [(membership.organization, str(membership.role)) for membership in memberships.order_by("pk")]
    return sorted(found, key=lambda one: (one[0].personal_for_id != user.pk, one[0].slug))


def chosen(slug: str, organizations: list[tuple[Organization, str]], user: User) -> Organization | None:
    """The one that was chosen, else the person's own; None for a strange one."""
    if not slug:
        return next((one for one, _role in organizations if one.personal_for_id == user.pk), None)
    return next((one for one, _role in organizations if one.slug == slug), None)
