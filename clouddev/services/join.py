"""Becoming a member of a machine, or the one whose machine it is: what happens once whoever becomes it agrees."""

from collections.abc import Callable
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import Q

from accounts import audit
from accounts.models import Membership, Organization, User
from accounts.services import access, users
from clouddev.models import Machine, Member, Offer
from clouddev.names import linux_user_of
from clouddev.services import access_ended, quotas
from clouddev.services.access import NoSuchMachine
from core.errors import Conflict, Forbidden, NotFound

MOST_MEMBERS = 50
Role = Member.Role
# Called behind the machine's lock, to see once more whether it may be; it raises if not.
Claim = Callable[[Machine], None]


class NoSuchPerson(NotFound):
    """404: nobody with this GitHub login has signed in here."""

    default = "Nobody with this GitHub login has signed in here yet. Ask them to sign in once."


class TooManyMembers(Conflict):
    """409: the machine has as many members as it may."""

    default = f"A workspace may have {MOST_MEMBERS} members. Remove one first."


class OwnOrganizationSuspended(Forbidden):
    """403: the machine would go to an organization that is suspended."""

    default = "Your organization is suspended. Ask an operator of this server to restore it."


def let_in(*, offer: Offer, person: access.Doer, now: datetime, claim: Claim) -> None:
    """Make whom it is offered to a member; of one who is a member already, an owner where they are to be one.

    Raises AccessEnded, TooManyMembers, and what `claim` raises.
    """
    user, role, by = offer.recipient, offer.role, offer.made_by.get_short_name()
    with transaction.atomic():
        access.hold(person)
        machine = locked(offer.machine)
        claim(machine)
        member = machine.members.filter(user=user).first()
        if member is None:
            _add(machine, user, role, now=now, offered_by=offer.made_by)
        elif (member.role, role) == (Role.MEMBER, Role.OWNER):
            machine.members.filter(pk=member.pk).update(role=role)
        else:
            return
        action = "machine.member_changed" if member else "machine.member_added"
        record(action, machine, person, login=user.get_short_name(), role=role, offered_by=by)


def hand_over(  # noqa: PLR0913 - what is asked of it has this many parts
    *,
    machine: Machine,
    user: User,
    actor: access.Doer,
    now: datetime,
    claim: Claim | None = None,
    offered_by: User | None = None,
) -> None:
    """Make the person the one whose machine it counts as; the one before stays a member.

    It goes to their own organization, unless they belong to the one that it is in. Raises NoSuchPerson, AccessEnded,
    Conflict when they have a machine of this name, TooManyMembers, QuotaReached, OwnOrganizationSuspended, and what
    `claim` raises.
    """
    login, is_own = user.get_short_name(), actor.id == user.pk
    try:
        with transaction.atomic():
            # In the order in which creating a machine takes these locks.
            personal = hold_organization(user)
            if is_own:
                access.hold(actor)
            elif not User.objects.select_for_update(no_key=True).filter(pk=user.pk, is_active=True):
                raise NoSuchPerson
            machine = locked(machine)
            if claim is not None:
                claim(machine)
            before = machine.owner_id
            if before == user.pk:
                return
            _require_room(machine, user, personal, is_own=is_own)
            if not _belongs(machine, user):
                machine.organization = personal
            Machine.objects.filter(pk=machine.pk).update(
                owner=user, organization=machine.organization_id, warned_at=None, last_active_at=now
            )
            if not machine.members.filter(user=user).update(role=Role.OWNER):
                _add(machine, user, Role.OWNER, now=now, offered_by=offered_by)
            machine.members.filter(user_id=before).update(role=Role.MEMBER)
            _end_offers(machine, user)
            told = {"offered_by": offered_by.get_short_name()} if offered_by else {}
            record("machine.transferred", machine, actor, login=login, **told)
    except IntegrityError as error:
        raise _SameName(machine, login, is_own=is_own) from error


class _SameName(Conflict):
    """409: whoever is to have the machine has one of its name."""

    def __init__(self, machine: Machine, login: str, *, is_own: bool) -> None:
        more = "; nobody has two of one name. Destroy yours first, or decline the offer." if is_own else "."
        super().__init__(
            f"{'You have' if is_own else f'{login} has'} a workspace called “{machine.app_name}” already{more}"
        )


def hold_organization(user: User) -> Organization:
    """The person's own organization, behind its lock, which comes before that of people."""
    personal = users.ensure_personal_organization(user=user)
    return Organization.objects.select_for_update(no_key=True).get(pk=personal.pk)


def locked(machine: Machine) -> Machine:
    """The machine as it is, behind its lock: changes of its members and offers come one after the other.

    So two can't remove the last two owners. Raises NoSuchMachine.
    """
    try:
        return Machine.objects.select_for_update(no_key=True).get(pk=machine.pk)
    except Machine.DoesNotExist as error:
        raise NoSuchMachine from error


def require_decider(machine: Machine, actor: audit.Actor) -> None:
    """Raise NoSuchMachine unless the person still decides about the machine, which is locked."""
    if not machine.members.filter(user=actor.id, role=Role.OWNER).exists():
        raise NoSuchMachine


def if_decided_by(actor: audit.Actor) -> Claim:
    """Give a check that refuses an action when the person no longer decides about the machine once it is locked."""
    return lambda machine: require_decider(machine, actor)


def record(action: str, machine: Machine, actor: audit.Actor, **details: str) -> None:
    """Write down what became of a machine's members or offers."""
    audit.record(
        action, actor=actor, target=machine,
        details={"app": machine.app_name, **details},
    )  # fmt: skip


def _require_room(machine: Machine, user: User, personal: Organization, *, is_own: bool) -> None:
    if is_own:
        quotas.require_own_room(user_id=user.pk)
    else:
        quotas.require_room_of(user_id=user.pk, login=user.get_short_name())
    if _belongs(machine, user):
        return
    if is_own and personal.suspended_at is not None:
        raise OwnOrganizationSuspended
    whose = "Your" if is_own else f"{user.get_short_name()}'s"
    quotas.require_room_in_organization(organization_id=personal.pk, whose=whose)


def _belongs(machine: Machine, user: User) -> bool:
    """Whether the person belongs to the organization that the machine is in."""
    return Membership.objects.filter(organization=machine.organization_id, user=user).exists()


def _add(machine: Machine, user: User, role: str, *, now: datetime, offered_by: User | None) -> None:
    """Make the person a member of the machine, which is locked. Raises TooManyMembers."""
    if machine.members.count() >= MOST_MEMBERS:
        if offered_by is None:
            raise TooManyMembers
        raise TooManyMembers(
            f"This workspace has {MOST_MEMBERS} members, which is the most it may have. Ask "
            f"{offered_by.get_short_name()} to remove one, and accept again."
        )
    Member.objects.create(machine=machine, user=user, role=role, linux_user=linux_user_of(user.pk), created_at=now)


def _end_offers(machine: Machine, owner: User) -> None:
    """Delete what a change of owner ends: transfers, offers to the new owner, and those of who no longer decides."""
    access_ended.end_offers(Q(machine=machine) & (Q(kind=Offer.Kind.TRANSFER) | Q(recipient=owner)))
    access_ended.end_offers_without_power(machine=machine)
