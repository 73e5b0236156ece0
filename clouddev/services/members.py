"""Who may use a machine, and who decides about it."""

from datetime import datetime

from django.db import IntegrityError, transaction

from accounts import audit
from accounts.models import User
from clouddev.models import Machine, Member
from clouddev.names import linux_user_of
from config.core.errors import Conflict, Malformed, NotFound

_MOST = 50
Role = Member.Role


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

    default = f"A machine may have {_MOST} members."


def list_members(*, machine: Machine) -> list[Member]:
    """The members with their people, owners first."""
    return list(machine.members.select_related("user"))


def add_member(*, machine: Machine, login: str, role: str, actor: audit.Actor, now: datetime) -> Member:
    """Let a person who is known here use the machine, or change their role.

    Raises NoSuchPerson, Malformed for an unknown role, LastOwner, TooManyMembers.
    """
    if role not in Role.values:
        raise Malformed("role: Say `owner` or `member`.")
    user = _person(login)
    with transaction.atomic():
        _lock(machine)
        member = machine.members.filter(user=user).first()
        if member is None and machine.members.count() >= _MOST:
            raise TooManyMembers
        if member is not None and member.role == Role.OWNER and role != Role.OWNER:
            _require_other_owner(machine, member)
        member, made = Member.objects.update_or_create(
            machine=machine,
            user=user,
            defaults={"role": role},
            create_defaults={"role": role, "linux_user": linux_user_of(user.pk), "created_at": now},
        )
        action = "machine.member_added" if made else "machine.member_changed"
        _record(action, machine, actor, login=login, role=role)
    return member


def remove_member(*, machine: Machine, login: str, actor: audit.Actor) -> None:
    """Take a person's access away. Tokens they hold for the machine work until they expire, within a day.

    Raises NoSuchPerson or NotAMember, and LastOwner.
    """
    with transaction.atomic():
        _lock(machine)
        member = machine.members.filter(user__github_login__iexact=login).first()
        if member is None:
            raise NotAMember
        if member.role == Role.OWNER:
            _require_other_owner(machine, member)
        if machine.owner_id == member.user_id:
            raise LastOwner("The machine counts as theirs: transfer it to somebody else first.")
        member.delete()
        _record("machine.member_removed", machine, actor, login=login)


def transfer(*, machine: Machine, login: str, actor: audit.Actor, now: datetime) -> None:
    """Make somebody else the owner whose machine it counts as; the one before stays a member.

    Raises NoSuchPerson, and Conflict when they have a machine of this name.
    """
    user = _person(login)
    try:
        with transaction.atomic():
            _lock(machine)
            before = machine.owner_id
            if before == user.pk:
                return
            Machine.objects.filter(pk=machine.pk).update(owner=user)
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


def _person(login: str) -> User:
    user = User.objects.filter(github_login__iexact=login, is_active=True).first() if login else None
    if user is None:
        raise NoSuchPerson
    return user


def _lock(machine: Machine) -> None:
    """Changes of one machine's members come one after the other, so that two can't remove the last two owners."""
    Machine.objects.select_for_update(no_key=True).get(pk=machine.pk)


def _require_other_owner(machine: Machine, member: Member) -> None:
    if not machine.members.filter(role=Role.OWNER).exclude(pk=member.pk).exists():
        raise LastOwner


def _record(action: str, machine: Machine, actor: audit.Actor, **details: str) -> None:
    audit.record(
        action, actor=actor, target=machine, organization_id=machine.organization_id,
        details={"app": machine.app_name, **details},
    )  # fmt: skip
