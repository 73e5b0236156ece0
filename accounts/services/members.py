"""Who belongs to an organization: roles, leaving, removing, handing it over. One owner at least always stays.

Roles change behind the organization's lock, so that of two owners who leave at once one stays.
"""

import uuid
from datetime import datetime

from django.db import transaction

from accounts import audit
from accounts.models import Invitation, Membership, Organization
from accounts.models.organizations import Role
from accounts.services import membership_ended
from accounts.services.access import Doer
from accounts.services.membership_ended import MembershipEnded
from accounts.services.organizations import OwnersOnly, PersonalOrganization, hold
from core.errors import Conflict, NotFound


class NoSuchMember(NotFound):
    """404: nobody of this id is a member."""

    default = "This person is no member of the organization."


class LastOwner(Conflict):
    """409: an organization always has an owner who can sign in."""

    default = "The organization needs an owner: make somebody else an owner first, or delete it."


def list_members(*, organization: Organization, after: int = 0, limit: int) -> list[Membership]:
    """The members with their people, in the order in which they came, from the one after this row on."""
    found = organization.memberships.select_related("user").filter(pk__gt=after)
    return list(found.order_by("pk")[:limit])


@transaction.atomic
def change_role(*, slug: str, user_id: uuid.UUID, role: Role, person: Doer, now: datetime) -> Membership:
    """Make a member an owner, an admin or a member; admins do so among those who are no owners.

    What they have invited to and may not any more is withdrawn. Raises NoSuchMember, LastOwner, OwnersOnly, and as
    `organizations.hold` does.
    """
    own = hold(slug=slug, person=person, least=Role.ADMIN)
    member = _member(own.organization, user_id)
    if member.role == role:
        return member
    if Role.OWNER in {member.role, role} and not own.is_owner:
        raise OwnersOnly("Only an owner may make somebody an owner, or take that from one. Ask one of them.")
    _set_role(member, role, by=person, now=now)
    return member


@transaction.atomic
def remove(*, slug: str, user_id: uuid.UUID, person: Doer, now: datetime) -> Membership:
    """Take somebody's membership away, for admins where it is no owner's; gives what it was. Oneself: `leave`.

    Raises NoSuchMember, LastOwner, OwnersOnly, and as `organizations.hold` does.
    """
    if user_id == person.id:
        return leave(slug=slug, person=person, now=now)
    own = hold(slug=slug, person=person, least=Role.ADMIN)
    member = _member(own.organization, user_id)
    if member.is_owner and not own.is_owner:
        raise OwnersOnly("Only an owner may remove an owner. Ask one of them.")
    _end(member, "organization.member_removed", by=person, now=now)
    return member


@transaction.atomic
def leave(*, slug: str, person: Doer, now: datetime) -> Membership:
    """End the person's own membership, in a suspended organization too; gives what it was.

    Raises PersonalOrganization, LastOwner, NoSuchOrganization and AccessEnded.
    """
    own = hold(slug=slug, person=person, least=Role.MEMBER, even_suspended=True)
    if own.organization.is_personal:
        raise PersonalOrganization
    _end(own, "organization.left", by=person, now=now)
    return own


@transaction.atomic
def transfer(*, slug: str, user_id: uuid.UUID, person: Doer, now: datetime) -> Membership:
    """Make another member an owner in the person's place, who stays as an admin; gives the new owner's membership.

    Raises NoSuchMember, also for oneself and for whoever is shut out of this server, and as `organizations.hold` does.
    """
    own = hold(slug=slug, person=person, least=Role.OWNER)
    member = _member(own.organization, user_id)
    if member.pk == own.pk or not member.user.is_active:
        raise NoSuchMember("Choose another member, who can sign in here.")
    if not member.is_owner:
        _set_role(member, Role.OWNER, by=person, now=now)
    _set_role(own, Role.ADMIN, by=person, now=now)
    _record("organization.transferred", member, person)
    return member


def _member(organization: Organization, user_id: uuid.UUID) -> Membership:
    member = organization.memberships.select_related("user", "organization").filter(user_id=user_id).first()
    if member is None:
        raise NoSuchMember
    return member


def _set_role(member: Membership, role: Role, *, by: audit.Actor, now: datetime) -> None:
    """Change it behind the organization's lock, and withdraw what the member may not invite to any more."""
    if member.is_owner:
        _require_another_owner(member)
    before, member.role = member.role, role
    member.save(update_fields=["role"])
    made = Invitation.objects.filter(organization_id=member.organization_id, made_by_id=member.user_id)
    made.without_power().withdraw(now=now, by=by)
    _record("organization.member_changed", member, by, **{"from": str(before), "to": str(role)})


def _end(member: Membership, action: str, *, by: audit.Actor, now: datetime) -> None:
    if member.is_owner:
        _require_another_owner(member)
    Membership.objects.filter(pk=member.pk).delete()
    # Last: what is being given out at this moment is there by now.
    membership_ended.end(
        MembershipEnded(organization_id=member.organization_id, user_id=member.user_id, by=by, now=now)
    )
    _record(action, member, by, role=str(member.role))


def _require_another_owner(member: Membership) -> None:
    """Raise LastOwner for whom the organization needs as an owner."""
    others = Membership.objects.acting_owners().filter(organization_id=member.organization_id).exclude(pk=member.pk)
    if not others.exists():
        raise LastOwner


def _record(action: str, member: Membership, by: audit.Actor, **details: str) -> None:
    """Write down what was done about a member: the row is about the person."""
    audit.record(
        action,
        actor=by,
        target=member.user,
        organization_id=member.organization_id,
        details={"organization": member.organization.slug, **details},
    )
