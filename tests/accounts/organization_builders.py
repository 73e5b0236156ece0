"""Organizations with people in them, and invitations."""

from typing import Any

from allauth.account.models import EmailAddress
from django.utils import timezone

from accounts.models import Membership, Organization, User
from accounts.services import invitations, organizations
from accounts.services.invitations import Invited

Role = Membership.Role


def make_organization(owner: User, slug: str = "team", /, **members: User) -> Organization:
    """An organization of the owner's; the words say who else is what in it, such as `admin=bob`."""
    organization = organizations.create(name=slug.replace("-", " ").title(), slug=slug, person=owner)
    for role, user in members.items():
        add_to(organization, user, role)
    return organization


def add_to(organization: Organization, user: User, role: str = Role.MEMBER) -> Membership:
    return Membership.objects.create(organization=organization, user=user, role=role)


def verified(user: User) -> User:
    """The person, whose address is known to be theirs."""
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


def invite(organization: Organization, email: str, *, by: User, role: str = Role.MEMBER, **options: Any) -> Invited:
    """An invitation, as if made at `now`."""
    return invitations.invite(
        slug=organization.slug, email=email, role=Role(role), person=by, now=options.get("now") or timezone.now()
    )
