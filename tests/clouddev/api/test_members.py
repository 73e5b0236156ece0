"""GET, POST and DELETE /api/cloud-dev/members, and POST /transfer: who may use a machine, and whose it is."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEvent, User
from clouddev.models import Machine, Member, Offer, WebhookToken
from clouddev.names import linux_user_of
from clouddev.services import members
from clouddev.services.access import NoSuchMachine
from tests.clouddev.api.expectations import BAD_NAMES, BAD_QUERIES, NO_MACHINE, SUSPENDED, said
from tests.clouddev.builders import add_member, make_machine, make_offer, make_webhook_token
from tests.conftest import APIClient, make_person, token_of
from tests.fly.fly_assertions import at_once

pytestmark = pytest.mark.django_db
PATH, TRANSFER = "/api/cloud-dev/members", "/api/cloud-dev/transfer"
NOBODY = (404, {"error": "Nobody with this GitHub login has signed in here yet. Ask them to sign in once."})
NO_MEMBER = (404, {"error": "This person is no member of the workspace."})
LAST_OWNER = (409, {"error": "The workspace needs an owner: make somebody else an owner first."})
THEIRS = (409, {"error": "The workspace counts as theirs: transfer it to somebody else first."})
TRANSFERRED = (200, {"data": {"status": "transferred"}})
Role = Member.Role


def add(api, login, name="studio", **more):
    return api.post(PATH, {"appName": name, "login": login, **more})


def remove(api, login, name="studio"):
    return api.request(
        "DELETE", PATH, data=json.dumps({"appName": name, "login": login}), content_type="application/json"
    )


def transfer(api, login, name="studio"):
    return api.post(TRANSFER, {"appName": name, "login": login})


def roles(machine):
    return dict(Member.objects.filter(machine=machine).values_list("user__github_login", "role"))


CHANGES = [add, remove, transfer]
change = pytest.mark.parametrize("act", CHANGES)


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(("parameters", "sentence"), BAD_QUERIES)
def test_a_list_of_what_cannot_be_a_machine_is_refused(alice_api, parameters, sentence):
    assert said(alice_api.get(PATH, **parameters)) == (400, {"error": sentence})


@pytest.mark.parametrize("path", [PATH, TRANSFER])
@pytest.mark.parametrize(("body", "sentence"), BAD_NAMES)
def test_what_cannot_be_a_machine_is_refused(alice_api, path, body, sentence):
    assert said(alice_api.post(path, {**body, "login": "bob"})) == (400, {"error": sentence})


@change
@pytest.mark.parametrize(
    ("login", "sentence"),
    [
        (None, "login: This field may not be null."),
        ("", "login: This field may not be blank."),
        (7, "login: Not a valid string."),
        (["bob"], "login: Not a valid string."),
        ("b" * 101, "login: Ensure this field has no more than 100 characters."),
        ("b\0b", "login: Null characters are not allowed."),
    ],
)
def test_what_cannot_be_a_login_is_refused(alice_api, studio, act, login, sentence):
    assert said(act(alice_api, login)) == (400, {"error": sentence})


@pytest.mark.parametrize("role", ["admin", "", None, 7, "OWNER"])
def test_there_is_no_other_role(alice_api, studio, charlie, role):
    status, body = said(add(alice_api, "charlie", role=role))
    assert (status, body["error"].split(":")[0]) == (400, "role")
    assert "charlie" not in roles(studio)


def test_without_a_token_nothing_is_told(nobody_api, studio):
    assert nobody_api.get(PATH, appName="studio").status_code == 401


@change
def test_without_a_token_nothing_changes(nobody_api, studio, act):
    assert act(nobody_api, "bob").status_code == 401
    assert roles(studio) == {"alice": "owner", "bob": "member"}


@change
def test_a_suspended_owner_changes_nothing(alice_api, alice, studio, act):
    alice.is_active = False
    alice.save()
    assert said(act(alice_api, "bob")) == (403, SUSPENDED)
    assert roles(studio) == {"alice": "owner", "bob": "member"}


@change
def test_to_members_and_strangers_there_is_nothing_to_change(bob_api, charlie_api, studio, act):
    absent = said(act(bob_api, "charlie", "nothing"))
    assert said(act(bob_api, "charlie")) == said(act(charlie_api, "charlie")) == absent == (404, NO_MACHINE)
    assert (roles(studio), Machine.objects.get().owner_id) == ({"alice": "owner", "bob": "member"}, studio.owner_id)


def test_a_stranger_is_not_told_who_the_members_are(charlie_api, studio):
    assert said(charlie_api.get(PATH, appName="studio")) == (404, NO_MACHINE)


# --- listing ------------------------------------------------------------------------------------


def test_owner_and_member_are_told_who_may_use_it(alice_api, bob_api, alice, bob, studio):
    told = [
        {
            "login": person.github_login,
            "name": person.name,
            "role": role,
            "linuxUser": linux_user_of(person.pk),
            "addedAt": Member.objects.get(user=person).created_at.isoformat(),
        }
        for person, role in ((alice, "owner"), (bob, "member"))
    ]
    for api in (alice_api, bob_api):
        assert said(api.get(PATH, appName="studio")) == (200, {"data": told})


def test_the_list_costs_the_same_however_many_there_are(alice_api, studio, django_assert_num_queries):
    alice_api.get(PATH, appName="studio")
    for number in range(20):
        add_member(studio, make_person(f"person-{number}"))
    with django_assert_num_queries(3):
        assert len(alice_api.get(PATH, appName="studio").json()["data"]) == 22


# --- adding -------------------------------------------------------------------------------------


def test_nobody_is_added_who_has_not_signed_in(alice_api, studio):
    assert said(add(alice_api, "nobody")) == NOBODY


def test_a_suspended_person_is_as_one_who_has_not_signed_in(alice_api, charlie, studio):
    User.objects.filter(pk=charlie.pk).update(is_active=False)
    assert said(add(alice_api, "charlie")) == NOBODY


def test_whom_an_owner_adds_is_asked_first_and_the_answer_says_so(
    alice_api, charlie_api, alice, charlie, studio, settings
):
    settings.PUBLIC_URL = "https://crayon.example.com"
    answer = add(alice_api, "Charlie")
    offer = Offer.objects.get()
    told = {
        "login": "charlie",
        "name": "",
        "role": "member",
        "linuxUser": "",
        "addedAt": offer.created_at.isoformat(),
        "status": "waiting",
        "message": "charlie has to accept first: the offer to use “studio” as a member waits for them at "
        f"https://crayon.example.com/workspaces/ until {offer.expires_at:%-d %B %Y}.",
        "offerId": str(offer.pk),
        "expiresAt": offer.expires_at.isoformat(),
    }
    assert said(answer) == (200, {"data": told})
    assert (offer.made_by, offer.recipient, offer.expires_at - offer.created_at) == (alice, charlie, timedelta(days=14))
    assert roles(studio) == {"alice": "owner", "bob": "member"}
    assert said(charlie_api.get("/api/cloud-dev/mcp-token", appName="studio")) == (404, NO_MACHINE)
    event = AuditEvent.objects.get()
    assert (event.action, event.actor_id, event.target_id) == ("machine.offered", alice.pk, str(studio.pk))
    assert event.details == {"app": "studio", "login": "charlie", "kind": "member", "role": "member"}


def test_of_several_who_had_a_login_the_one_who_came_with_it_last_is_meant(alice_api, studio):
    for login, days in (("before", 9), ("now", 1), ("never", 0)):
        seen = timezone.now() - timedelta(days=days) if days else None
        make_person(login, last_login=seen)
    User.objects.filter(username__in=["before", "now", "never"]).update(github_login="octocat")
    add(alice_api, "octocat")
    assert Offer.objects.get().recipient.username == "now"


def test_adding_again_changes_the_role(alice_api, bob_api, studio):
    assert add(alice_api, "bob", role="owner").json()["data"]["role"] == "owner"
    assert roles(studio) == {"alice": "owner", "bob": "owner"}
    assert add(bob_api, "bob", role="member").json()["data"]["role"] == "member"
    assert AuditEvent.objects.filter(action="machine.member_changed").count() == 2


def test_adding_a_member_again_as_what_they_are_records_nothing(alice_api, studio):
    assert add(alice_api, "bob").json()["data"]["role"] == "member"
    assert add(alice_api, "bob", role="member").json()["data"]["role"] == "member"
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize(("has_other_owner", "refusal"), [(False, LAST_OWNER), (True, THEIRS)])
def test_whose_machine_it_is_stays_an_owner(alice_api, bob, studio, has_other_owner, refusal):
    if has_other_owner:
        Member.objects.filter(user=bob).update(role=Role.OWNER)
    before = roles(studio)
    assert said(add(alice_api, "alice", role="member")) == said(remove(alice_api, "alice")) == refusal
    assert roles(studio) == before


def test_there_is_a_most_of_members(alice_api, studio, charlie):
    Member.objects.bulk_create(
        Member(machine=studio, user=make_person(f"person-{number}"), linux_user="x", created_at=timezone.now())
        for number in range(48)
    )
    assert said(add(alice_api, "charlie")) == (409, {"error": "A workspace may have 50 members. Remove one first."})
    assert not Offer.objects.exists()
    assert add(alice_api, "bob", role="owner").status_code == 200


@pytest.mark.parametrize("act", [add, transfer])
def test_who_has_signed_in_here_cannot_be_found_out_by_trying(alice_api, alice, studio, act):
    for _ in range(30):
        members.INVITATIONS.spend(str(alice.pk))
    answer = act(alice_api, "bob")
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) >= 1


# --- removing -----------------------------------------------------------------------------------


def test_nobody_is_removed_who_is_no_member(alice_api, charlie, studio):
    assert said(remove(alice_api, "charlie")) == said(remove(alice_api, "nobody")) == NO_MEMBER


@pytest.mark.parametrize("is_in_body", [True, False])
def test_a_removed_member_gets_nothing_more_and_the_owner_is_told_what_they_still_hold(
    alice_api, bob_api, alice, bob, studio, is_in_body
):
    own, theirs = (make_webhook_token(studio, person) for person in (alice, bob))
    answer = remove(alice_api, "BOB") if is_in_body else alice_api.request("DELETE", f"{PATH}?appName=studio&login=BOB")
    status, body = said(answer)
    assert (status, body["data"]["status"]) == (200, "removed")
    assert "within 24 hours" in body["data"]["message"]
    for path in ("mcp-token", "ssh-key", "members"):
        assert said(bob_api.get(f"/api/cloud-dev/{path}", appName="studio")) == (404, NO_MACHINE)
    assert bob_api.get("/api/cloud-dev/list").json() == {"data": []}
    revoked = dict(WebhookToken.objects.values_list("pk", "revoked_at"))
    assert (revoked[own.pk], revoked[theirs.pk] is None) == (None, False)
    event = AuditEvent.objects.get(action="machine.member_removed")
    assert (event.actor_id, event.details) == (alice.pk, {"app": "studio", "login": "BOB"})


def test_another_owner_can_be_removed(alice_api, bob, studio):
    Member.objects.filter(user=bob).update(role=Role.OWNER)
    assert remove(alice_api, "bob").status_code == 200
    assert roles(studio) == {"alice": "owner"}


@pytest.mark.django_db(transaction=True)
def test_owners_who_remove_each_other_at_once_leave_one(alice, bob, charlie):
    machine = make_machine(charlie, "studio")
    for person in (alice, bob):
        add_member(machine, person, Role.OWNER)
    # Whose machine it is can't be removed, and is no owner here.
    Member.objects.filter(user=charlie).delete()
    apis = [APIClient(token_of(person)) for person in (alice, bob)]
    answers = at_once(2, lambda number: remove(apis[number], ("bob", "alice")[number]))
    assert min(answer.status_code for answer in answers) == 200
    assert list(roles(machine).values()) == ["owner"]


@pytest.mark.parametrize("login", ["alice", "charlie"])
def test_whoever_was_an_owner_a_moment_ago_removes_nobody_and_withdraws_nothing(alice, bob, charlie, studio, login):
    """bob's request was let in while he was one."""
    add_member(studio, make_person("second"), Role.OWNER)
    Member.objects.filter(user=alice).update(role=Role.MEMBER)
    Machine.objects.update(owner=User.objects.get(github_login="second"))
    make_offer(studio, charlie)
    before = roles(studio)
    for end in (lambda: None, Member.objects.filter(user=bob).delete):
        end()
        with pytest.raises(NoSuchMachine):
            members.remove_member(machine=studio, login=login, actor=bob)
    assert roles(studio) == {who: role for who, role in before.items() if who != "bob"}
    assert Offer.objects.count() == 1


# --- transferring -------------------------------------------------------------------------------


def test_nothing_is_transferred_to_who_has_not_signed_in(alice_api, studio):
    assert said(transfer(alice_api, "nobody")) == NOBODY
    assert Machine.objects.get().owner_id == studio.owner_id


@pytest.mark.parametrize("login", ["bob", "charlie"])
def test_whoever_is_to_own_it_is_asked_first_and_the_answer_says_so(alice_api, alice, charlie, studio, login, settings):
    settings.PUBLIC_URL = "https://crayon.example.com"
    before = roles(studio)
    answer = transfer(alice_api, login)
    offer = Offer.objects.get()
    told = {
        "status": "waiting",
        "message": f"{login} has to accept first: the offer to take “studio” over waits for them at "
        f"https://crayon.example.com/workspaces/ until {offer.expires_at:%-d %B %Y}.",
        "offerId": str(offer.pk),
        "expiresAt": offer.expires_at.isoformat(),
    }
    assert said(answer) == (200, {"data": told})
    assert (offer.kind, offer.recipient.github_login, offer.made_by) == ("transfer", login, alice)
    assert (Machine.objects.get().owner, roles(studio)) == (alice, before)
    event = AuditEvent.objects.get()
    assert (event.action, event.actor_id) == ("machine.offered", alice.pk)
    assert event.details == {"app": "studio", "login": login, "kind": "transfer", "role": "owner"}


def test_to_oneself_nothing_changes(alice_api, studio):
    assert said(transfer(alice_api, "alice")) == TRANSFERRED
    assert roles(studio) == {"alice": "owner", "bob": "member"}
    assert not AuditEvent.objects.exists()
    assert not Offer.objects.exists()


def test_whose_it_is_already_is_asked_nothing(alice, bob, bob_api, studio):
    Member.objects.filter(user=bob).update(role=Role.OWNER)
    offer = members.transfer(machine=studio, login="alice", actor=bob, now=timezone.now())
    assert (offer, Machine.objects.get().owner, Offer.objects.exists()) == (None, alice, False)


def test_a_co_owner_who_is_added_again_without_a_role_stays_one(alice, alice_api, bob):
    machine = make_machine(alice, "studio")
    add_member(machine, bob, role=Member.Role.OWNER)
    answer = alice_api.post("/api/cloud-dev/members", {"appName": "studio", "login": "bob"})
    assert (answer.status_code, answer.json()["data"]["role"]) == (200, "owner")


def test_a_member_leaves_by_themselves_and_takes_nobody_along(alice, bob, bob_api, charlie):
    machine = make_machine(alice, "studio")
    add_member(machine, bob)
    add_member(machine, charlie)
    refused = bob_api.request("DELETE", "/api/cloud-dev/members?appName=studio&login=charlie")
    left = bob_api.request("DELETE", "/api/cloud-dev/members?appName=studio&login=bob")
    assert (refused.status_code, left.status_code) == (404, 200)
    assert set(machine.members.values_list("user__username", flat=True)) == {"alice", "charlie"}


def test_nobody_uses_the_machines_of_a_suspended_organization(alice, bob, bob_api):
    machine = make_machine(alice, "studio")
    add_member(machine, bob)
    machine.organization.suspended_at = timezone.now()
    machine.organization.save()
    assert bob_api.get("/api/cloud-dev/ssh-key", appName="studio").status_code == 404
    assert bob_api.post("/api/cloud-dev/start", {"appName": "studio"}).status_code == 404
