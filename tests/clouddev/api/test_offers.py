"""/api/cloud-dev/offers: nobody gets a machine, or a part in one, before they accept. alice offers it to charlie."""

import uuid

import pytest
from django.utils import timezone

from accounts.models import AuditEvent, Membership, User
from accounts.services import users
from accounts.services.access import AccessEnded
from clouddev.models import Machine, Member, Offer
from clouddev.names import linux_user_of
from clouddev.services import members, offers
from tests.clouddev.api.expectations import NO_MACHINE, said
from tests.clouddev.api.offering import (
    BEFORE,
    KINDS,
    MADE,
    NONE,
    PATH,
    Kind,
    Role,
    add,
    decide,
    roles,
    told,
    trail,
    transfer,
)
from tests.clouddev.builders import add_member, make_machine, make_offer
from tests.conftest import APIClient, make_person, token_of

pytestmark = pytest.mark.django_db


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["accept", "decline"])
@KINDS
def test_nobody_but_whom_it_is_for_decides_about_it(alice_api, bob_api, charlie, studio, kind, action):
    offer = make_offer(studio, charlie, kind)
    for api in (alice_api, bob_api):
        assert said(decide(api, offer, action)) == said(api.post(f"{PATH}/{uuid.uuid4()}/{action}")) == NONE
    assert (roles(studio), Offer.objects.count(), AuditEvent.objects.count()) == (BEFORE, 1, 0)


def test_nobody_withdraws_it_who_does_not_decide_about_the_machine(bob_api, charlie_api, charlie, studio):
    offer = make_offer(studio, charlie)
    for api in (bob_api, charlie_api):
        assert said(decide(api, offer, "withdraw")) == NONE
    assert Offer.objects.exists()


def _withdrawn(alice_api, offer):
    assert said(decide(alice_api, offer, "withdraw")) == (200, {"data": {"status": "withdrawn"}})


def _expired(alice_api, offer):
    Offer.objects.update(expires_at=timezone.now())


def _destroyed(alice_api, offer):
    assert alice_api.post("/api/cloud-dev/destroy", {"appName": "studio"}).status_code == 200


def _gone(alice_api, offer):
    Machine.objects.all().delete()


def _suspended(alice_api, offer):
    users.suspend(user=offer.made_by, by=None)


def _signed_out(alice_api, offer):
    users.revoke_everything(user=offer.made_by, by=None, now=timezone.now())


def _organization_suspended(alice_api, offer):
    organization = offer.machine.organization
    organization.suspended_at = timezone.now()
    organization.save()


def _no_owner_any_more(alice_api, offer):
    add_member(offer.machine, make_person("second"), Role.OWNER)
    Member.objects.filter(user=offer.made_by).update(role=Role.MEMBER)


def _no_member_any_more(alice_api, offer):
    Member.objects.filter(user=offer.made_by).delete()


def _suspended_unnoticed(alice_api, offer):
    User.objects.filter(pk=offer.made_by_id).update(is_active=False)


def _being_destroyed_unnoticed(alice_api, offer):
    Machine.objects.update(state=Machine.State.DESTROYING)


def _accepted(alice_api, offer):
    offers.accept(offer_id=offer.pk, person=offer.recipient, now=timezone.now())


def _declined(alice_api, offer):
    offers.decline(offer_id=offer.pk, person=offer.recipient, now=timezone.now())


OVER = [
    _withdrawn, _expired, _destroyed, _gone, _suspended, _signed_out, _organization_suspended, _no_owner_any_more,
    _no_member_any_more, _suspended_unnoticed, _being_destroyed_unnoticed, _accepted, _declined,
]  # fmt: skip


@KINDS
@pytest.mark.parametrize("end", OVER)
def test_what_is_over_is_as_absent(alice_api, charlie_api, charlie, studio, kind, end):
    offer = make_offer(studio, charlie, kind)
    end(alice_api, offer)
    before = (trail(), roles(studio), list(Machine.objects.values("owner", "organization")))
    for action in ("accept", "decline"):
        assert said(decide(charlie_api, offer, action)) == NONE
    assert said(charlie_api.get(PATH)) == (200, {"data": []})
    assert (trail(), roles(studio), list(Machine.objects.values("owner", "organization"))) == before


@KINDS
def test_a_request_whose_person_was_signed_out_meanwhile_accepts_nothing(charlie, studio, kind):
    offer = make_offer(studio, charlie, kind)
    users.revoke_everything(user=User.objects.get(pk=charlie.pk), by=None, now=timezone.now())
    with pytest.raises(AccessEnded):
        offers.accept(offer_id=offer.pk, person=charlie, now=timezone.now())
    assert (roles(studio), Offer.objects.count()) == (BEFORE, 1)


# --- what can't be now goes on waiting ----------------------------------------------------------


def waits_on(charlie_api, offer, sentence, status=409):
    before = list(Machine.objects.values("owner", "organization"))
    assert said(decide(charlie_api, offer)) == (status, {"error": sentence})
    assert said(charlie_api.get(PATH))[1]["data"][0]["id"] == str(offer.pk)
    assert list(Machine.objects.values("owner", "organization")) == before
    assert not AuditEvent.objects.exists()


def test_who_has_as_many_machines_as_they_may_gets_no_other_until_there_is_room(charlie_api, charlie, studio, settings):
    settings.MACHINES_PER_PERSON = 1
    own = make_machine(charlie, "other")
    offer = make_offer(studio, charlie, Kind.TRANSFER)
    waits_on(
        charlie_api,
        offer,
        "You have 1 workspace, which is the most you may have. Destroy one that you no longer need and try again; "
        "“other” has been idle the longest.",
    )
    own.delete()
    assert decide(charlie_api, offer).status_code == 200
    assert Machine.objects.get().owner == charlie


def test_an_organization_gets_no_more_than_it_may_have(charlie_api, alice, bob, charlie, studio, settings):
    settings.MACHINES_PER_ORGANIZATION = 1
    make_machine(bob, "bobs", organization=charlie.personal_organization)
    offer = make_offer(studio, charlie, Kind.TRANSFER)
    waits_on(
        charlie_api,
        offer,
        "Your organization has 1 workspace, which is the most it may have. Destroy one that nobody needs and try "
        "again.",
    )
    Membership.objects.create(user=charlie, organization=alice.personal_organization, created_at=timezone.now())
    assert decide(charlie_api, offer).status_code == 200
    assert Machine.objects.get(app_name="studio").organization == alice.personal_organization


def test_who_has_a_machine_of_this_name_gets_no_other(charlie_api, charlie, studio):
    make_machine(charlie, "Studio")
    waits_on(
        charlie_api,
        make_offer(studio, charlie, Kind.TRANSFER),
        "You have a workspace called “studio” already; nobody has two of one name. Destroy yours first, or decline the "
        "offer.",
    )


def test_a_suspended_organization_gets_no_machine(charlie, studio):
    organization = charlie.personal_organization
    organization.suspended_at = timezone.now()
    organization.save()
    offer = make_offer(studio, charlie, Kind.TRANSFER)
    with pytest.raises(Exception, match=r"^Your organization is suspended\. Ask an operator of this server"):
        offers.accept(offer_id=offer.pk, person=charlie, now=timezone.now())
    assert Offer.objects.filter(pk=offer.pk).exists()


@KINDS
def test_a_machine_has_no_more_members_than_it_may(charlie_api, charlie, studio, kind):
    offer = make_offer(studio, charlie, kind)
    Member.objects.bulk_create(
        Member(machine=studio, user=make_person(f"person-{number}"), linux_user="x", created_at=timezone.now())
        for number in range(48)
    )
    waits_on(
        charlie_api,
        offer,
        "This workspace has 50 members, which is the most it may have. Ask alice to remove one, and accept again.",
    )


# --- deciding -----------------------------------------------------------------------------------


def test_both_are_told_of_what_waits(alice_api, bob_api, charlie_api, charlie, studio):
    offer, other = make_offer(studio, charlie, Kind.TRANSFER), make_offer(studio, charlie)
    assert said(charlie_api.get(PATH)) == (200, {"data": [told(other, "member"), told(offer, "owner")]})
    assert said(alice_api.get(MADE)) == said(charlie_api.get(PATH))
    for api, path in ((alice_api, PATH), (charlie_api, MADE), (bob_api, PATH), (bob_api, MADE)):
        assert said(api.get(path)) == (200, {"data": []})


def test_lists_cost_the_same_however_much_waits(alice_api, charlie_api, charlie, studio, django_assert_num_queries):
    for api, path in ((charlie_api, PATH), (alice_api, MADE)):
        api.get(path)
    for number in range(4):
        make_offer(make_machine(studio.owner, f"studio-{number}"), charlie)
    for api, path in ((charlie_api, PATH), (alice_api, MADE)):
        with django_assert_num_queries(2):
            assert len(api.get(path).json()["data"]) == 4


@pytest.mark.parametrize("role", Role.values)
def test_who_accepts_is_a_member_from_then_on(alice_api, charlie_api, charlie, studio, role):
    offer = Offer.objects.get(pk=add(alice_api, "charlie", role=role).json()["data"]["offerId"])
    assert said(charlie_api.get("/api/cloud-dev/mcp-token", appName="studio")) == (404, NO_MACHINE)
    accepted = {"status": "accepted", "appName": "studio", "role": role}
    assert said(decide(charlie_api, offer)) == (200, {"data": accepted})
    assert roles(studio) == {**BEFORE, "charlie": role}
    assert Member.objects.get(user=charlie).linux_user == linux_user_of(charlie.pk)
    assert not Offer.objects.exists()
    assert trail()[-1] == (
        "machine.member_added", "Charlie", {"app": "studio", "login": "charlie", "role": role, "offered_by": "alice"}
    )  # fmt: skip
    assert charlie_api.get("/api/cloud-dev/mcp-token", appName="studio").status_code == 200


@pytest.mark.parametrize("login", ["bob", "charlie"])
def test_who_accepts_a_transfer_has_the_machine_and_the_one_before_stays_a_member(
    alice_api, bob, charlie, studio, login
):
    to = {"bob": bob, "charlie": charlie}[login]
    offer = Offer.objects.get(pk=transfer(alice_api, login).json()["data"]["offerId"])
    accepted = {"status": "accepted", "appName": "studio", "role": "owner"}
    assert said(decide(APIClient(token_of(to)), offer)) == (200, {"data": accepted})
    machine = Machine.objects.get()
    assert (machine.owner, machine.organization) == (to, to.personal_organization)
    assert roles(machine) == {"alice": "member", "bob": "member", login: "owner"}
    assert trail()[-1] == (
        "machine.transferred", login.title(), {"app": "studio", "login": login, "offered_by": "alice"}
    )  # fmt: skip
    # The home stays as it is, and destroying is the new owner's to do.
    home = APIClient(token_of(to)).get("/api/cloud-dev/ssh-key", appName="studio").json()["data"]["linuxUser"]
    assert home == linux_user_of(studio.owner_id)
    assert said(alice_api.post("/api/cloud-dev/destroy", {"appName": "studio"})) == (404, NO_MACHINE)


def test_it_stays_in_an_organization_that_its_new_owner_belongs_to(charlie_api, alice, charlie, studio):
    Membership.objects.create(user=charlie, organization=alice.personal_organization, created_at=timezone.now())
    assert decide(charlie_api, make_offer(studio, charlie, Kind.TRANSFER)).status_code == 200
    assert Machine.objects.get().organization == alice.personal_organization


def test_a_transfer_ends_what_else_was_to_become_of_the_machine(charlie_api, bob, charlie, studio):
    add_member(studio, make_person("dora"), Role.OWNER)
    dora = User.objects.get(username="dora")
    to_somebody = make_person("somebody")
    offer = make_offer(studio, charlie, Kind.TRANSFER)
    make_offer(studio, charlie)
    make_offer(studio, bob, Kind.TRANSFER, made_by=dora)
    make_offer(studio, to_somebody)
    kept = make_offer(studio, make_person("colleague"), made_by=dora)
    decide(charlie_api, offer)
    assert list(Offer.objects.all()) == [kept]


def test_who_became_a_member_meanwhile_is_one_once(charlie_api, charlie, studio):
    offer = make_offer(studio, charlie)
    add_member(studio, charlie, Role.OWNER)
    assert decide(charlie_api, offer).status_code == 200
    # Accepting takes nothing away, and there is nothing to write down.
    assert (roles(studio)["charlie"], trail(), Offer.objects.exists()) == ("owner", [], False)


def test_who_became_a_member_meanwhile_is_an_owner_where_that_was_offered(charlie_api, charlie, studio):
    offer = make_offer(studio, charlie, role=Role.OWNER)
    add_member(studio, charlie)
    assert decide(charlie_api, offer).status_code == 200
    assert (roles(studio)["charlie"], [action for action, *_ in trail()]) == ("owner", ["machine.member_changed"])


def test_an_owner_who_takes_anothers_machine_agrees_by_asking(alice, bob, studio):
    Member.objects.filter(user=bob).update(role=Role.OWNER)
    assert members.transfer(machine=studio, login="bob", actor=bob, now=timezone.now()) is None
    assert Machine.objects.get().owner == bob
    assert trail() == [("machine.transferred", "Bob", {"app": "studio", "login": "bob"})]


@KINDS
def test_who_declines_is_asked_no_more(alice_api, charlie_api, charlie, studio, kind):
    offer = make_offer(studio, charlie, kind)
    role = "owner" if kind == Kind.TRANSFER else "member"
    assert said(decide(charlie_api, offer, "decline")) == (200, {"data": {"status": "declined"}})
    assert (roles(studio), said(alice_api.get(MADE))[1]) == (BEFORE, {"data": []})
    details = {"app": "studio", "login": "charlie", "kind": kind, "role": role, "offered_by": "alice"}
    assert trail() == [("machine.offer_declined", "Charlie", details)]


def test_another_owner_withdraws_it_too(bob_api, bob, charlie, studio):
    Member.objects.filter(user=bob).update(role=Role.OWNER)
    offer = make_offer(studio, charlie)
    assert said(decide(bob_api, offer, "withdraw")) == (200, {"data": {"status": "withdrawn"}})
    details = {"app": "studio", "login": "charlie", "kind": "member", "role": "member", "offered_by": "alice"}
    assert trail() == [("machine.offer_withdrawn", "Bob", details)]


def test_removing_who_has_not_accepted_withdraws_the_offer(alice_api, charlie_api, charlie, studio):
    offer, kept = make_offer(studio, charlie), make_offer(studio, charlie, Kind.TRANSFER)
    removed = alice_api.request("DELETE", "/api/cloud-dev/members?appName=studio&login=CHARLIE")
    message = "The offer is withdrawn: they had not accepted it, and can't any more."
    assert said(removed) == (200, {"data": {"status": "removed", "message": message}})
    assert said(decide(charlie_api, offer)) == NONE
    assert list(Offer.objects.all()) == [kept]
    assert [action for action, *_ in trail()] == ["machine.offer_withdrawn"]


def test_expired_offers_are_cleared(alice, charlie, studio):
    make_offer(studio, charlie, expires_at=timezone.now())
    kept = make_offer(studio, charlie, Kind.TRANSFER)
    assert offers.forget_over(now=timezone.now()) == 1
    assert list(Offer.objects.all()) == [kept]
