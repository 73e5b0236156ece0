"""Offers that are made, accepted and ended at the same moment: one thing happens, and nobody waits forever."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.services import users
from clouddev.models import Machine, Member, Offer
from clouddev.services import destruction, members, offers
from tests.clouddev.api.offering import KINDS, Kind, Role, add, decide, trail
from tests.clouddev.builders import add_member, make_machine, make_offer
from tests.clouddev.worker_harness import is_somebody_blocked, wait_for
from tests.conftest import APIClient, make_person, token_of
from tests.fly.fly_assertions import at_once


@pytest.mark.django_db(transaction=True)
@KINDS
def test_of_several_acceptances_at_once_one_counts(alice, charlie, kind):
    studio = make_machine(alice, "studio")
    offer = make_offer(studio, charlie, kind)
    apis = [APIClient(token_of(charlie)) for _ in range(4)]
    answers = at_once(4, lambda number: decide(apis[number], offer))
    assert sorted(answer.status_code for answer in answers) == [200, 404, 404, 404]
    assert Member.objects.filter(user=charlie).count() == 1
    assert len(trail()) == 1


@pytest.mark.django_db(transaction=True)
@KINDS
@pytest.mark.parametrize("other", ["withdraw", "destroy", "decline", "suspend", "remove"])
def test_accepting_and_ending_it_at_once_is_one_of_the_two(alice, charlie, kind, other):
    studio = make_machine(alice, "studio")
    second = make_person("second")
    add_member(studio, second, Role.OWNER)
    offer = make_offer(studio, charlie, kind, made_by=second)
    api, alices = APIClient(token_of(charlie)), APIClient(token_of(alice))
    ends = {
        "withdraw": lambda: decide(alices, offer, "withdraw"),
        "destroy": lambda: destruction.destroy(machine=studio, actor=alice),
        "decline": lambda: decide(api, offer, "decline"),
        "suspend": lambda: users.suspend(user=second, by=None),
        "remove": lambda: members.remove_member(machine=studio, login="second", actor=alice),
    }
    accepted, ended = at_once(2, lambda number: (lambda: decide(api, offer), ends[other])[number]())
    assert accepted.status_code in {200, 404}
    assert not isinstance(ended, Exception)
    assert not Offer.objects.exists()
    assert Member.objects.filter(user=charlie).exists() == (accepted.status_code == 200)
    actions = [action for action, *_ in trail() if action.startswith("machine.") and action != "machine.destroyed"]
    assert len([action for action in actions if action != "machine.member_removed"]) <= 1


@pytest.mark.django_db(transaction=True)
def test_no_quota_is_passed_by_accepting_several_at_once(alice, charlie, settings):
    settings.MACHINES_PER_PERSON = 2
    waiting = [make_offer(make_machine(alice, f"studio-{number}"), charlie, Kind.TRANSFER) for number in range(4)]
    apis = [APIClient(token_of(charlie)) for _ in waiting]
    answers = at_once(4, lambda number: decide(apis[number], waiting[number]))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 409, 409]
    assert (Machine.objects.filter(owner=charlie).count(), Offer.objects.count()) == (2, 2)


@pytest.mark.django_db(transaction=True)
def test_no_more_is_offered_by_asking_at_once(alice, charlie, settings):
    settings.MACHINES_PER_PERSON = 9
    for number in range(8):
        make_machine(alice, f"studio-{number}")
    apis = [APIClient(token_of(alice)) for _ in range(8)]
    answers = at_once(8, lambda number: add(apis[number], "charlie", f"studio-{number}"))
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [409] * 3
    assert Offer.objects.count() == 5


@pytest.mark.django_db(transaction=True)
def test_offering_the_same_at_once_is_one_offer(alice, charlie):
    make_machine(alice, "studio")
    apis = [APIClient(token_of(alice)) for _ in range(4)]
    answers = at_once(4, lambda number: add(apis[number], "charlie"))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["data"]["offerId"] for answer in answers}) == 1
    assert [action for action, *_ in trail()] == ["machine.offered"]


@pytest.mark.django_db(transaction=True)
def test_who_is_offered_it_again_in_the_moment_of_declining_is_offered_it_anew(alice, charlie):
    studio = make_machine(alice, "studio")
    offer, api = make_offer(studio, charlie), APIClient(token_of(alice))

    def ask():
        try:
            return add(api, "charlie")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as other, transaction.atomic():
        offers.decline(offer_id=offer.pk, person=charlie, now=timezone.now())
        asking = other.submit(ask)
        wait_for(is_somebody_blocked, "alice's request has come to the offer")
    answer = asking.result()
    assert (answer.status_code, answer.json()["data"]["offerId"]) == (200, str(Offer.objects.get().pk))
    assert Offer.objects.get().pk != offer.pk
    assert [action for action, *_ in trail()] == ["machine.offer_declined", "machine.offered"]


@pytest.mark.django_db(transaction=True)
def test_people_who_offer_each_other_their_machines_at_once_do_not_wait_for_each_other_forever(alice, bob):
    for person in (alice, bob):
        make_machine(person, "studio")
    apis = [APIClient(token_of(person)) for person in (alice, bob)]
    for _ in range(5):
        answers = at_once(2, lambda number: add(apis[number], ("bob", "alice")[number]))
        assert [answer.status_code for answer in answers] == [200, 200]
