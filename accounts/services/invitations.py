"""Invitations to an organization: for whoever has a verified e-mail address, who accepts or declines.

Nobody is a member before they have accepted, and nobody is told whether an address is anybody's here. The link only
shows the invitation: it is accepted by the person whose address it names, with the link or without.
"""

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from accounts import audit
from accounts.email_addresses import plain
from accounts.models import Invitation, Membership, Organization, User
from accounts.models.organizations import InvitationQuerySet, Role
from accounts.models.users import Person
from accounts.services import access
from accounts.services.access import Doer
from accounts.services.access_ended import Ended, part
from accounts.services.organizations import OwnersOnly, PersonalOrganization, hold
from accounts.services.verified_email import verified_email
from core import mail
from core.crypto import digest, random_hex
from core.database import delete_in_batches
from core.errors import Conflict, NotFound, TooManyRequests
from core.rate_limits import RateLimit

STAYS = timedelta(days=7)
MOST_WAITING = 100
# Operators may still want to see what became of one of last week.
_KEPT = timedelta(days=30)
_TOKEN_BYTES = 32
_LONGEST_TOKEN = 128
# Each may be a mail to somebody who never heard of this server.
INVITATIONS = RateLimit("organization-invitations", "30/hour")
MAILS_TO_ADDRESS = RateLimit("invitation-mails-to-address", "5/day")
State = Invitation.State


class NoSuchInvitation(NotFound):
    """404: there is none, it is for another address, was decided about or withdrawn, or has expired."""

    default = (
        "There is no such invitation for you to decide about: it was accepted, declined or withdrawn, has expired, or "
        "is for another e-mail address than the verified one that you sign in with."
    )


class AlreadyAMember(Conflict):
    """409: who has this address is a member."""

    default = "Whoever has this e-mail address is a member of the organization already."


class TooManyInvitations(Conflict):
    """409: as many wait as may."""

    default = f"{MOST_WAITING} invitations to this organization wait, which is the most. Withdraw some."


@dataclass(frozen=True, slots=True)
class Invited:
    """An invitation that was made. Its link is for whom no mail was sent to, and can't be had again."""

    invitation: Invitation
    link: str = field(repr=False)
    is_mailed: bool


def invite(*, slug: str, email: str, role: Role, person: Doer, now: datetime) -> Invited:
    """Invite whoever has this address, in place of an earlier invitation; mailed where mail is configured.

    Raises PersonalOrganization, OwnersOnly for an owner's role, AlreadyAMember, TooManyInvitations, TooManyRequests,
    and as `organizations.hold` does.
    """
    INVITATIONS.spend(str(person.id))
    email, token = plain(email), random_hex(_TOKEN_BYTES)
    with transaction.atomic():
        own = hold(slug=slug, person=person, least=Role.ADMIN)
        organization = own.organization
        if organization.is_personal:
            raise PersonalOrganization
        if role == Role.OWNER and not own.is_owner:
            raise OwnersOnly("Only an owner may invite somebody as an owner. Ask one of them.")
        if _is_members(organization, email):
            raise AlreadyAMember
        organization.invitations.filter(email=email).withdraw(now=now, by=person)
        if organization.invitations.waiting(now).count() >= MOST_WAITING:
            raise TooManyInvitations
        invitation = Invitation.objects.create(
            organization=organization, email=email, role=role, digest=digest(token), made_by_id=person.id,
            created_at=now, expires_at=now + STAYS,
        )  # fmt: skip
        _record("invitation.made", invitation, person)
    link = f"{settings.PUBLIC_URL}/invitations/?link={token}"
    return Invited(invitation, link, is_mailed=_mail(invitation, link, person))


def received(*, person: Person, now: datetime) -> list[Invitation]:
    """What waits for the person to decide, newest first."""
    return list(_for(person, now).select_related("organization", "made_by")[:MOST_WAITING])


def of_organization(*, organization: Organization, now: datetime) -> list[Invitation]:
    """What waits for others to decide, newest first; for owners and admins."""
    return list(organization.invitations.waiting(now).select_related("made_by")[:MOST_WAITING])


def find_by_link(*, token: str, now: datetime) -> Invitation:
    """The invitation of this link, whoever looks at it. Changes nothing. Raises NoSuchInvitation."""
    if len(token) > _LONGEST_TOKEN:
        raise NoSuchInvitation
    same = Invitation.objects.acceptable(now).filter(digest=digest(token))
    return _one(same.select_related("organization", "made_by"))


@transaction.atomic
def accept(*, invitation_id: uuid.UUID, person: Doer, now: datetime) -> Membership:
    """Make the person a member, as the invitation says; whoever is one already stays what they are.

    Raises NoSuchInvitation and AccessEnded.
    """
    invitation = _one(_for(person, now).filter(pk=invitation_id))
    # In everybody's order: the organization, then the person.
    if not Organization.objects.select_for_update(no_key=True).filter(pk=invitation.organization_id):
        raise NoSuchInvitation
    access.hold(person)
    # None is there by now once it is withdrawn, or whoever made it may not any more.
    invitation = _one(_for(person, now).filter(pk=invitation_id))
    _decide(invitation, State.ACCEPTED, person, now)
    member, _ = Membership.objects.select_related("organization").get_or_create(
        organization_id=invitation.organization_id, user_id=person.id, defaults={"role": invitation.role}
    )
    _record("invitation.accepted", invitation, person)
    return member


@transaction.atomic
def decline(*, invitation_id: uuid.UUID, person: Doer, now: datetime) -> Invitation:
    """Refuse an invitation, which ends it; gives the invitation. Raises NoSuchInvitation."""
    own = _for(person, now).filter(pk=invitation_id)
    invitation = _one(own.select_related("organization", "made_by"))
    _decide(invitation, State.DECLINED, person, now)
    _record("invitation.declined", invitation, person)
    return invitation


@transaction.atomic
def withdraw(*, slug: str, invitation_id: uuid.UUID, person: Doer, now: datetime) -> Invitation:
    """Take an invitation back, for owners and admins; gives the invitation.

    Raises NoSuchInvitation, and as `organizations.hold` does.
    """
    organization = hold(slug=slug, person=person, least=Role.ADMIN).organization
    waiting = organization.invitations.waiting(now).filter(pk=invitation_id)
    invitation = _one(waiting.select_related("organization"))
    if not waiting.withdraw(now=now, by=person):
        raise NoSuchInvitation
    _record("invitation.withdrawn", invitation, person)
    return invitation


def forget_over(*, now: datetime) -> int:
    """Delete what expired, decided about or not, a while ago; says how many."""
    return delete_in_batches(Invitation.objects.filter(expires_at__lte=now - _KEPT))


@part("invitations to organizations they made")
def _made(ended: Ended) -> int:
    return Invitation.objects.filter(made_by_id=ended.user.pk).withdraw(now=ended.now, by=ended.by)


def _for(person: Person, now: datetime) -> InvitationQuerySet:
    """What the person may accept: made to the address that is known to be theirs."""
    email = verified_email(person)
    return Invitation.objects.acceptable(now).filter(email=email) if email else Invitation.objects.none()


def _decide(invitation: Invitation, state: State, person: Doer, now: datetime) -> None:
    """Decide about it, unless somebody has: of two at once one does. Raises NoSuchInvitation."""
    undecided = Invitation.objects.filter(pk=invitation.pk, state=State.WAITING)
    if not undecided.update(state=state, decided_at=now, decided_by_id=person.id):
        raise NoSuchInvitation


def _one(invitations: InvitationQuerySet) -> Invitation:
    invitation = invitations.first()
    if invitation is None:
        raise NoSuchInvitation
    return invitation


def _is_members(organization: Organization, email: str) -> bool:
    """Whether a member is known to have this address."""
    same = User.objects.filter(memberships__organization=organization, email__iexact=email)
    return any(verified_email(user) == email for user in same)


def _mail(invitation: Invitation, link: str, person: Doer) -> bool:
    """Send the link; False where no mail is sent. All words are ours, but a login and a slug, which are plain ones."""
    try:
        if mail.is_configured():
            MAILS_TO_ADDRESS.spend(digest(invitation.email).hex())
    except TooManyRequests:
        return False
    slug, server = invitation.organization.slug, settings.PUBLIC_URL
    by = User.objects.get(pk=person.id).get_short_name()
    return mail.send(
        to=invitation.email,
        subject=f"{by} invites you to {slug}",
        text=(
            f"{by} invites you to the organization {slug} at {server}, as {in_words(invitation.role)}.\n\n"
            f"See it, and accept or decline it, until {invitation.expires_at:%-d %B %Y}:\n{link}\n\n"
            f"Sign in there with the account whose address this mail was sent to. If you don't know {by}, do nothing: "
            "you are no member of anything before you accept.\n"
        ),
    )


def in_words(role: str) -> str:
    """What somebody is as this: "an owner"."""
    return f"a {role}" if role == Role.MEMBER else f"an {role}"


def _record(action: str, invitation: Invitation, by: audit.Actor) -> None:
    audit.record(
        action,
        actor=by,
        target=invitation,
        organization_id=invitation.organization_id,
        details={"email": invitation.email, "role": str(invitation.role)},
    )
