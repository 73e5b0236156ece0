"""Offers: nobody gets a machine, or a part in one, without agreeing to it. So quotas are neither dodged nor filled."""

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Case, Count, F, IntegerField, Q, When

from accounts import audit
from accounts.models import User
from accounts.models.users import Person
from accounts.services.access import AccessEnded, Doer
from clouddev.models import Machine, Member, Offer
from clouddev.models.offers import OfferQuerySet
from clouddev.services import access_ended, join
from clouddev.services.access import NoSuchMachine
from clouddev.services.join import MOST_MEMBERS, NoSuchPerson, TooManyMembers
from core.database import delete_in_batches
from core.errors import Conflict, NotFound

STAYS = timedelta(days=14)
# That wait at the same time: so nobody fills another's page, whom they may know or not.
MOST_MADE, MOST_RECEIVED, MOST_TO_ONE_PERSON = 50, 50, 5
_MOST_SHOWN = 100
_NOT_SHOWN = ("machine__sealed_ssh_key", "machine__sealed_environment", "machine__ssh_public_key")
Kind = Offer.Kind


class NoSuchOffer(NotFound):
    """404: there is no such offer, it is for another person, or it has expired."""

    default = "There is no such offer for you to decide about: it was accepted, declined or withdrawn, or has expired."


class TooManyOffers(Conflict):
    """409: as many offers wait as may."""


class OnItsWayOut(Conflict):
    """409: nobody can be offered a machine that is being destroyed."""

    default = "The workspace is being destroyed, so it can't be offered to anybody any more."


def hold(machine: Machine, recipient: User, actor: Doer) -> Machine:
    """The machine behind its lock, and the two people, so that what is counted of them stays as it is.

    Raises AccessEnded, NoSuchMachine and NoSuchPerson: that of whoever acts has ended, they may no longer decide, or
    the recipient is shut out by now.
    """
    # In the order of all who take these locks (`accounts.services.access`): people by their key, then the machine.
    people = User.objects.select_for_update(no_key=True).filter(pk__in={actor.id, recipient.pk}, is_active=True)
    there = dict(people.order_by("pk").values_list("pk", "access_epoch"))
    if there.get(actor.id) != actor.access_epoch:
        raise AccessEnded
    machine = join.locked(machine)
    join.require_decider(machine, actor)
    if recipient.pk not in there:
        raise NoSuchPerson
    return machine


def make(  # noqa: PLR0913 - an offer has this many parts
    *, machine: Machine, recipient: User, kind: str, role: str | None, actor: audit.Actor, now: datetime
) -> Offer:
    """Offer the machine to somebody; the machine is held. Making an offer again renews it.

    Without a role it stays what was offered before, else a member. Raises OnItsWayOut, TooManyMembers, TooManyOffers.
    """
    if machine.state == Machine.State.DESTROYING:
        raise OnItsWayOut
    same = Offer.objects.filter(machine=machine, recipient=recipient, kind=kind)
    before = same.waiting(now).first()
    role = role or (before.role if before else Member.Role.MEMBER)
    is_same = before is not None and (before.role, before.made_by_id) == (role, actor.id)
    # None is left to renew of one that is declined or withdrawn at this moment.
    if is_same and same.update(expires_at=now + STAYS):
        return same.get()
    if kind == Kind.MEMBER and machine.members.count() >= MOST_MEMBERS:
        raise TooManyMembers
    # Nobody accepts what they were not shown, so one that says something else is another offer.
    same.delete()
    _require_room(recipient, actor, now)
    offer = Offer.objects.create(
        machine=machine, recipient=recipient, kind=kind, role=role, made_by_id=actor.id,
        created_at=now, expires_at=now + STAYS,
    )  # fmt: skip
    _record("machine.offered", offer, actor)
    return offer


def received(*, person: Person, now: datetime) -> list[Offer]:
    """What waits for the person to decide, newest first."""
    return _with_all(Offer.objects.acceptable(now).filter(recipient_id=person.id))


def of_deciders(*, person: Person, now: datetime, machine: Machine | None = None) -> list[Offer]:
    """What waits for others' consent, of the machines that the person decides about, or of one of them."""
    offers = Offer.objects.acceptable(now).decided_by(person)
    return _with_all(offers if machine is None else offers.filter(machine=machine))


def both(*, person: Person, now: datetime) -> tuple[list[Offer], list[Offer]]:
    """What waits for the person, and what for others' consent, by one query."""
    decided = Q(machine__in=Machine.objects.for_owner(person))
    found = Offer.objects.acceptable(now).filter(Q(recipient_id=person.id) | decided)
    theirs_first = Case(When(recipient_id=person.id, then=0), default=1, output_field=IntegerField())
    offers = _with_all(found.order_by(theirs_first, "-created_at", "-pk"))
    received = [offer for offer in offers if offer.recipient_id == person.id]
    return received, offers[len(received) :]


def accept(*, offer_id: uuid.UUID, person: Doer, now: datetime) -> Offer:
    """Take an offer up: whoever it is for is a member, or has the machine; tells which offer it was.

    Where that can't be, the offer goes on waiting. Raises NoSuchOffer, AccessEnded, TooManyMembers,
    and as `join.hand_over` does.
    """
    offer = _one(Offer.objects.acceptable(now).filter(recipient_id=person.id), offer_id)

    def claim(machine: Machine) -> None:  # noqa: ARG001 - behind whose lock it is
        # Of two at once one finds it, and none once it is withdrawn, or whoever made it may not any more.
        if not Offer.objects.acceptable(now).filter(pk=offer.pk).delete()[0]:
            raise NoSuchOffer

    machine, user = offer.machine, offer.recipient
    try:
        if offer.kind == Kind.TRANSFER:
            join.hand_over(machine=machine, user=user, actor=person, now=now, claim=claim, offered_by=offer.made_by)
        else:
            join.let_in(offer=offer, person=person, now=now, claim=claim)
    except NoSuchMachine as error:
        raise NoSuchOffer from error
    return offer


def decline(*, offer_id: uuid.UUID, person: Person, now: datetime) -> Offer:
    """Decline an offer, which ends it; gives the offer. Raises NoSuchOffer."""
    offer = _one(Offer.objects.acceptable(now).filter(recipient_id=person.id), offer_id)
    _end(offer, "machine.offer_declined", offer.recipient)
    return offer


def withdraw(*, offer_id: uuid.UUID, actor: audit.Actor, now: datetime) -> Offer:
    """Take an offer back, for whoever decides about its machine; gives the offer. Raises NoSuchOffer."""
    offer = _one(Offer.objects.waiting(now).decided_by(actor), offer_id)
    _end(offer, "machine.offer_withdrawn", actor)
    return offer


def withdraw_membership(*, machine: Machine, login: str, actor: audit.Actor, now: datetime) -> bool:
    """Take back what lets the person of this login become a member; False when nothing waits for them."""
    named = Offer.objects.waiting(now).filter(machine=machine, kind=Kind.MEMBER, recipient__github_login__iexact=login)
    offer = (
        named.select_related("machine", "recipient", "made_by")
        .order_by(F("recipient__last_login").desc(nulls_last=True), "pk")
        .first()
    )
    if offer is None:
        return False
    _end(offer, "machine.offer_withdrawn", actor)
    return True


def forget_over(*, now: datetime) -> int:
    """Delete expired offers; says how many."""
    return delete_in_batches(Offer.objects.filter(expires_at__lte=now))


def waits_for_consent(offer: Offer) -> str:
    """What whoever made the offer is told: that nothing has changed yet, and what has to happen."""
    login, name = offer.recipient.get_short_name(), offer.machine.app_name
    as_what = "an owner" if offer.role == Member.Role.OWNER else "a member"
    what = f"to take “{name}” over" if offer.kind == Kind.TRANSFER else f"to use “{name}” as {as_what}"
    return (
        f"{login} has to accept first: the offer {what} waits for them at {settings.PUBLIC_URL}/workspaces/ "
        f"until {offer.expires_at:%-d %B %Y}."
    )


def _require_room(recipient: User, actor: audit.Actor, now: datetime) -> None:
    """Raise TooManyOffers when as many wait as may, of one of the two or between them."""
    made, received = Q(made_by=actor.id), Q(recipient=recipient)
    counts = (
        Offer.objects.acceptable(now)
        .filter(made | received)
        .aggregate(
            made=Count("pk", filter=made),
            received=Count("pk", filter=received),
            both=Count("pk", filter=made & received),
        )
    )
    login = recipient.get_short_name()
    if counts["both"] >= MOST_TO_ONE_PERSON:
        raise TooManyOffers(
            f"{MOST_TO_ONE_PERSON} offers of yours wait for {login}, which is the most. Ask them to accept or decline "
            "these, or withdraw some."
        )
    if counts["made"] >= MOST_MADE:
        raise TooManyOffers(f"{MOST_MADE} offers of yours wait for others, which is the most. Withdraw some.")
    if counts["received"] >= MOST_RECEIVED:
        raise TooManyOffers(f"As many offers wait for {login} as may. Ask them to accept or decline some.")


def _one(offers: OfferQuerySet, offer_id: uuid.UUID) -> Offer:
    offer = offers.select_related("machine", "recipient", "made_by").filter(pk=offer_id).first()
    if offer is None:
        raise NoSuchOffer
    return offer


def _with_all(offers: OfferQuerySet) -> list[Offer]:
    shown = offers.select_related("machine", "recipient", "made_by").defer(*_NOT_SHOWN)
    return list(shown[:_MOST_SHOWN])


@transaction.atomic
def _end(offer: Offer, action: str, actor: audit.Actor) -> None:
    """End the offer, with an audit row; of two calls at once one does. Raises NoSuchOffer."""
    if not access_ended.end_offers(Q(pk=offer.pk)):
        raise NoSuchOffer
    _record(action, offer, actor)


def _record(action: str, offer: Offer, actor: audit.Actor) -> None:
    by = {} if offer.made_by_id == actor.id else {"offered_by": offer.made_by.get_short_name()}
    login, kind = offer.recipient.get_short_name(), str(offer.kind)
    join.record(action, offer.machine, actor, login=login, kind=kind, role=str(offer.role), **by)
