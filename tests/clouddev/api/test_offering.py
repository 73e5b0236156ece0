"""POST /api/cloud-dev/members and transfer, as far as they offer a machine: to whom, how often, and again."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Organization, User
from accounts.services import users
from accounts.services.access import AccessEnded
from clouddev.models import Machine, Member, Offer
from clouddev.services import destruction, members, offers
from tests.clouddev.api.expectations import said
from tests.clouddev.api.offering import BEFORE, NONE, Role, add, decide, roles, trail, transfer
from tests.clouddev.builders import make_machine, make_offer
from tests.conftest import make_person

pytestmark = pytest.mark.django_db


def test_there_is_only_so_much_that_one_person_offers_another(alice_api, alice, charlie, settings):
    settings.MACHINES_PER_PERSON = 9
    for number in range(offers.MOST_TO_ONE_PERSON + 1):
        make_machine(alice, f"studio-{number}")
    answers = [add(alice_api, "charlie", f"studio-{number}") for number in range(offers.MOST_TO_ONE_PERSON + 1)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [409]
    assert answers[-1].json() == {
        "error": "5 offers of yours wait for charlie, which is the most. Ask them to accept or decline these, or "
        "withdraw some."
    }
    # What waits is renewed all the same, and to others there is room.
    assert add(alice_api, "charlie", "studio-0").status_code == 200
    make_person("dora")
    assert add(alice_api, "dora", "studio-0").status_code == 200
    # One that has expired is none.
    Offer.objects.filter(machine__app_name="studio-1").update(expires_at=timezone.now())
    assert add(alice_api, "charlie", "studio-5").status_code == 200


def test_there_is_only_so_much_that_somebody_offers(alice_api, studio, monkeypatch):
    monkeypatch.setattr(offers, "MOST_MADE", 2)
    for number in range(3):
        make_person(f"person-{number}")
    answers = [add(alice_api, f"person-{number}") for number in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 409]
    assert answers[2].json() == {"error": "2 offers of yours wait for others, which is the most. Withdraw some."}


def test_there_is_only_so_much_that_somebody_is_offered(alice_api, charlie, studio, monkeypatch):
    monkeypatch.setattr(offers, "MOST_RECEIVED", 2)
    for number in range(2):
        make_offer(make_machine(make_person(f"person-{number}")), charlie)
    sentence = "As many offers wait for charlie as may. Ask them to accept or decline some."
    assert said(add(alice_api, "charlie")) == said(transfer(alice_api, "charlie")) == (409, {"error": sentence})
    # What charlie can't see, they can't decline either.
    Organization.objects.filter(machines__owner__github_login="person-0").update(suspended_at=timezone.now())
    assert add(alice_api, "charlie").status_code == 200


def test_a_machine_that_is_being_destroyed_is_offered_to_nobody(alice_api, alice, charlie, studio):
    destruction.destroy(machine=studio, actor=alice)
    sentence = "The workspace is being destroyed, so it can't be offered to anybody any more."
    assert said(add(alice_api, "charlie")) == said(transfer(alice_api, "charlie")) == (409, {"error": sentence})


def test_whoever_was_an_owner_a_moment_ago_offers_nothing(alice, bob, charlie, studio):
    for action in (
        lambda: members.add_member(machine=studio, login="charlie", role=None, actor=bob, now=timezone.now()),
        lambda: members.transfer(machine=studio, login="charlie", actor=bob, now=timezone.now()),
        lambda: members.transfer(machine=studio, login="bob", actor=bob, now=timezone.now()),
        lambda: members.add_member(machine=studio, login="bob", role="owner", actor=bob, now=timezone.now()),
    ):
        with pytest.raises(offers.NoSuchMachine):
            action()
    assert (roles(studio), Machine.objects.get().owner, Offer.objects.exists()) == (BEFORE, alice, False)


def test_a_request_whose_person_was_signed_out_meanwhile_offers_nothing(alice, charlie, studio):
    users.revoke_everything(user=User.objects.get(pk=alice.pk), by=None, now=timezone.now())
    with pytest.raises(AccessEnded):
        members.add_member(machine=studio, login="charlie", role=None, actor=alice, now=timezone.now())
    with pytest.raises(AccessEnded):
        members.transfer(machine=studio, login="charlie", actor=alice, now=timezone.now())
    assert not Offer.objects.exists()


def test_a_request_whose_person_was_signed_out_meanwhile_gives_up_no_role(alice, bob, studio):
    users.revoke_everything(user=User.objects.get(pk=alice.pk), by=None, now=timezone.now())
    with pytest.raises(AccessEnded):
        members.add_member(machine=studio, login="alice", role="owner", actor=alice, now=timezone.now())
    assert roles(studio) == BEFORE


# --- offering again -----------------------------------------------------------------------------


@pytest.mark.parametrize("ask", [add, transfer])
def test_offering_again_is_the_same_offer_for_longer(alice_api, charlie, studio, ask):
    first = ask(alice_api, "charlie").json()["data"]
    Offer.objects.update(expires_at=timezone.now() + timedelta(minutes=1))
    again = ask(alice_api, "charlie").json()["data"]
    assert (again["offerId"], again["expiresAt"] > first["expiresAt"]) == (first["offerId"], True)
    assert [action for action, *_ in trail()] == ["machine.offered"]


def test_without_a_role_an_offer_keeps_its_own(alice_api, charlie, studio):
    offer = make_offer(studio, charlie, role=Role.OWNER)
    assert add(alice_api, "charlie").json()["data"]["role"] == "owner"
    assert Offer.objects.get() == offer


def test_nobody_accepts_what_they_were_not_shown(alice_api, bob_api, charlie_api, bob, charlie, studio):
    shown = make_offer(studio, charlie)
    add(alice_api, "charlie", role="owner")
    assert said(decide(charlie_api, shown)) == NONE
    shown = Offer.objects.get()
    Member.objects.filter(user=bob).update(role=Role.OWNER)
    add(bob_api, "charlie", role="owner")
    assert said(decide(charlie_api, shown)) == NONE
    assert Offer.objects.get().made_by == bob


def test_who_let_an_offer_expire_can_be_asked_anew(alice_api, charlie_api, charlie, studio):
    old = make_offer(studio, charlie, expires_at=timezone.now(), role=Role.OWNER)
    told_anew = add(alice_api, "charlie").json()["data"]
    assert (told_anew["offerId"] != str(old.pk), told_anew["role"]) == (True, "member")
    assert decide(charlie_api, Offer.objects.get()).status_code == 200


def test_a_second_owner_who_is_one_no_more_has_offered_nothing(alice_api, bob, charlie, studio):
    Member.objects.filter(user=bob).update(role=Role.OWNER)
    make_offer(studio, charlie, made_by=bob)
    kept = make_offer(studio, make_person("dora"))
    add(alice_api, "bob", role="member")
    assert list(Offer.objects.all()) == [kept]
