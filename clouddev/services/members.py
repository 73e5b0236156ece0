"""Who may use a machine, and who decides about it."""

from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts import audit
from accounts.models import User
from accounts.services.access import Doer
from clouddev.models import Machine, Member, Offer
from clouddev.services import access_ended, join, offers
from clouddev.services.join import NoSuchPerson
from core.errors import Conflict, Malformed, NotFound
from core.rate_limits import RateLimit

# Also so that nobody finds out by trying who has signed in here.
INVITATIONS = RateLimit("machine-invitations", "30/minute")
Role = Member.Role
AFTER_REMOVAL = (
    "They get no more tokens and keys for this workspace, and their cron jobs on it are paused. Tokens that they hold "
    "are revoked: a workspace that asks for the list of revoked tokens refuses them within a minute, any other takes "
    "them until they expire, those for the dev UI within 24 hours. An SSH key that they have fetched opens the "
    "workspace as long as it exists."
)
AFTER_WITHDRAWAL = "The offer is withdrawn: they had not accepted it, and can't any more."


class NotAMember(NotFound):
    """404: the person is no member of the machine."""

    default = "This person is no member of the workspace."


class LastOwner(Conflict):
    """409: a machine always has an owner."""

    default = "The workspace needs an owner: make somebody else an owner first."


def list_members(*, machine: Machine) -> list[Member]:
    """The members with their people, owners first."""
    return list(machine.members.select_related("user"))


def add_member(*, machine: Machine, login: str, role: str | None, actor: Doer, now: datetime) -> Member | Offer:
    """Offer a person who is known here to use the machine; of one who is a member, change the role at once.

    Without a role, a member keeps theirs, and so does an offer. Raises NoSuchPerson, Malformed for an unknown role,
    AccessEnded, NoSuchMachine, LastOwner, TooManyRequests, and as `offers.make` does.
    """
    if role is not None and role not in Role.values:
        raise Malformed("role: Say `owner` or `member`.")
    INVITATIONS.spend(str(actor.id))
    user = person(login)
    with transaction.atomic():
        machine = offers.hold(machine, user, actor)
        member = machine.members.select_related("user").filter(user=user).first()
        if member is None:
            return offers.make(machine=machine, recipient=user, kind=Offer.Kind.MEMBER, role=role, actor=actor, now=now)
        if role is None or role == member.role:
            return member
        if role != Role.OWNER:
            _require_dispensable(machine, member)
        member.role = role
        member.save(update_fields=["role"])
        access_ended.end_offers_without_power(machine=machine)
        join.record("machine.member_changed", machine, actor, login=login, role=role)
    return member


def remove_member(*, machine: Machine, login: str, actor: audit.Actor) -> str:
    """Take a person's access away, or the offer of it; tells what that doesn't end.

    Raises NotAMember, LastOwner, and NoSuchMachine when whoever takes another's no longer decides about the machine.
    """
    with transaction.atomic():
        machine = join.locked(machine)
        named = machine.members.filter(user__github_login__iexact=login)
        member = named.order_by(F("user__last_login").desc(nulls_last=True), "pk").first()
        if member is None or member.user_id != actor.id:
            # Who has just removed them, or made them a member, has decided first.
            join.require_decider(machine, actor)
        if member is None:
            if offers.withdraw_membership(machine=machine, login=login, actor=actor, now=timezone.now()):
                return AFTER_WITHDRAWAL
            raise NotAMember
        _require_dispensable(machine, member)
        member.delete()
        # Last: a token that is being issued at this moment holds the member's row, and is there by now.
        access_ended.end_on_machine(machine=machine, user_id=member.user_id, by=actor, now=timezone.now())
        join.record("machine.member_removed", machine, actor, login=login)
    return AFTER_REMOVAL


def transfer(*, machine: Machine, login: str, actor: Doer, now: datetime) -> Offer | None:
    """Offer a person who is known here to make the machine theirs; None when it is the caller's who asks for it.

    An owner who takes somebody else's agrees by asking. Raises NoSuchPerson, NoSuchMachine, TooManyRequests, and as
    `offers.make` and, for the caller's own, `join.hand_over` do.
    """
    INVITATIONS.spend(str(actor.id))
    user = person(login)
    if user.pk == actor.id:
        join.hand_over(machine=machine, user=user, actor=actor, now=now, claim=join.if_decided_by(actor))
        return None
    with transaction.atomic():
        machine = offers.hold(machine, user, actor)
        if machine.owner_id == user.pk:
            return None
        return offers.make(
            machine=machine, recipient=user, kind=Offer.Kind.TRANSFER, role=Role.OWNER, actor=actor, now=now
        )


def person(login: str) -> User:
    """Find the person with this GitHub login; of several, as logins change hands, who signed in with it last."""
    known = User.objects.filter(github_login__iexact=login, is_active=True) if login else User.objects.none()
    user = known.order_by(F("last_login").desc(nulls_last=True), "pk").first()
    if user is None:
        raise NoSuchPerson
    return user


def _require_dispensable(machine: Machine, member: Member) -> None:
    """Raise LastOwner for whom the machine needs as an owner."""
    if member.role == Role.OWNER and not machine.members.filter(role=Role.OWNER).exclude(pk=member.pk).exists():
        raise LastOwner
    if machine.owner_id == member.user_id:
        raise LastOwner("The workspace counts as theirs: transfer it to somebody else first.")
