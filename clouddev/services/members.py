"""Who may use a machine, and who decides about it."""

from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from accounts import audit
from accounts.models import Membership, Organization, User
from accounts.services import people
from clouddev.models import Machine, Member
from clouddev.names import linux_user_of
from clouddev.services import ending, quotas
from clouddev.services.access import NoSuchMachine
from config.core.errors import Conflict, Malformed, NotFound
from config.core.ratelimits import RateLimit

# Also so that nobody finds out by trying who has signed in here.
INVITATIONS = RateLimit("machine-invitations", "30/minute")
_MOST = 50
Role = Member.Role
AFTER_REMOVAL = (
    "They get no more tokens and keys for this machine, and their cron jobs on it are paused. Tokens that they hold "
    "are revoked: a machine that asks for the list of revoked tokens refuses them within a minute, any other takes "
    "them until they expire, those for the dev UI within 24 hours. An SSH key that they have fetched opens the machine "
    "as long as it exists."
)


class NoSuchPerson(NotFound):
    """404: nobody with this GitHub login has signed in here."""

    default = "Nobody with this GitHub login has signed in here yet. Ask them to sign in once."


class NotAMember(NotFound):
    """404: the person is no member of the machine."""

    default = "This person is no member of the machine."


class LastOwner(Conflict):
    """409: a machine always has an owner."""

    default = "The machine needs an owner: make somebody else an owner first."


class TooManyMembers(Conflict):
    """409: the machine has as many members as it may."""

    default = f"A machine may have {_MOST} members. Remove one first."


def list_members(*, machine: Machine) -> list[Member]:
    """The members with their people, owners first."""
    return list(machine.members.select_related("user"))


def add_member(*, machine: Machine, login: str, role: str | None, actor: audit.Actor, now: datetime) -> Member:
    """Let a person who is known here use the machine, or change their role; without one, a member keeps theirs.

    Raises NoSuchPerson, Malformed for an unknown role, LastOwner, TooManyMembers, TooManyRequests.
    """
    if role is not None and role not in Role.values:
        raise Malformed("role: Say `owner` or `member`.")
    INVITATIONS.spend(str(actor.id))
    user = person(login)
    with transaction.atomic():
        machine = _locked(machine)
        member = machine.members.filter(user=user).first()
        if member is None and machine.members.count() >= _MOST:
            raise TooManyMembers
        before = member.role if member else None
        role = role or before or Role.MEMBER
        if member is not None and role not in {member.role, Role.OWNER}:
            _require_dispensable(machine, member)
        member, made = Member.objects.update_or_create(
            machine=machine,
            user=user,
            defaults={"role": role},
            create_defaults={"role": role, "linux_user": linux_user_of(user.pk), "created_at": now},
        )
        if made or role != before:
            action = "machine.member_added" if made else "machine.member_changed"
            _record(action, machine, actor, login=login, role=role)
    return member


def remove_member(*, machine: Machine, login: str, actor: audit.Actor) -> None:
    """Take a person's access away; AFTER_REMOVAL says what that doesn't end. Raises NotAMember and LastOwner."""
    with transaction.atomic():
        machine = _locked(machine)
        named = machine.members.filter(user__github_login__iexact=login)
        member = named.order_by(F("user__last_login").desc(nulls_last=True)).first()
        if member is None:
            raise NotAMember
        _require_dispensable(machine, member)
        member.delete()
        # Last: a token that is being issued at this moment holds the member's row, and is there by now.
        ending.end_on_machine(machine=machine, user_id=member.user_id, by=actor, now=timezone.now())
        _record("machine.member_removed", machine, actor, login=login)


def transfer(*, machine: Machine, login: str, actor: audit.Actor, now: datetime) -> None:
    """Make somebody else the owner whose machine it counts as; the one before stays a member.

    A machine goes to their own organization, unless they belong to the one that it is in. Raises NoSuchPerson,
    Conflict when they have a machine of this name, and QuotaReached.
    """
    INVITATIONS.spend(str(actor.id))
    user = person(login)
    try:
        with transaction.atomic():
            personal = people.ensure_personal_organization(user=user)
            # In the order in which creating a machine takes these locks.
            Organization.objects.select_for_update(no_key=True).get(pk=personal.pk)
            User.objects.select_for_update(no_key=True).get(pk=user.pk)
            machine = _locked(machine)
            before = machine.owner_id
            if before == user.pk:
                return
            quotas.require_room_of(user_id=user.pk, login=login)
            if not Membership.objects.filter(organization=machine.organization_id, user=user).exists():
                quotas.require_room_in_organization(organization_id=personal.pk, whose=f"{login}'s")
                machine.organization = personal
            Machine.objects.filter(pk=machine.pk).update(
                owner=user, organization=machine.organization_id, warned_at=None, last_active_at=now
            )
            Member.objects.update_or_create(
                machine=machine,
                user=user,
                defaults={"role": Role.OWNER},
                create_defaults={"role": Role.OWNER, "linux_user": linux_user_of(user.pk), "created_at": now},
            )
            machine.members.filter(user_id=before).update(role=Role.MEMBER)
            _record("machine.transferred", machine, actor, login=login)
    except IntegrityError as error:
        raise Conflict(f"{login} has a machine called “{machine.app_name}” already.") from error


def person(login: str) -> User:
    """Who has this GitHub login: of several, since logins are given up and taken by others, who came with it last."""
    known = User.objects.filter(github_login__iexact=login, is_active=True) if login else User.objects.none()
    user = known.order_by(F("last_login").desc(nulls_last=True)).first()
    if user is None:
        raise NoSuchPerson
    return user


def _locked(machine: Machine) -> Machine:
    """Changes of one machine's members come one after the other, so that two can't remove the last two owners."""
    try:
        return Machine.objects.select_for_update(no_key=True).get(pk=machine.pk)
    except Machine.DoesNotExist as error:
        raise NoSuchMachine from error


def _require_dispensable(machine: Machine, member: Member) -> None:
    """Raise LastOwner for whom the machine needs as an owner."""
    if member.role == Role.OWNER and not machine.members.filter(role=Role.OWNER).exclude(pk=member.pk).exists():
        raise LastOwner
    if machine.owner_id == member.user_id:
        raise LastOwner("The machine counts as theirs: transfer it to somebody else first.")


def _record(action: str, machine: Machine, actor: audit.Actor, **details: str) -> None:
    audit.record(
        action, actor=actor, target=machine, organization_id=machine.organization_id,
        details={"app": machine.app_name, **details},
    )  # fmt: skip
