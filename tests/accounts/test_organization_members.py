"""Members of an organization: roles, removing, leaving, transferring; an owner always stays."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AccessToken, AuditEvent, Invitation, Login, Membership, User
from accounts.services import members, tokens
from accounts.services.members import LastOwner
from accounts.services.organizations import AdminsOnly, NoSuchOrganization, OwnersOnly
from tests.accounts.organization_builders import add_to, invite, make_organization
from tests.accounts.threads import at_once
from tests.conftest import APIClient, make_person, token_of

pytestmark = pytest.mark.django_db
OWNERS_ONLY = "Only an owner may make somebody an owner, or take that from one. Ask one of them."
LAST = {"error": "The organization needs an owner: make somebody else an owner first, or delete it."}


def told(answer):
    return answer.status_code, answer.json()


def roles(organization):
    return {login: str(role) for login, role in organization.memberships.values_list("user__username", "role")}


def change(api, user, role, slug="team"):
    body = json.dumps({"role": role}).encode()
    return api.request("PATCH", f"/api/orgs/{slug}/members/{user.pk}", data=body, content_type="application/json")


def test_members_are_listed_in_the_order_in_which_they_came(alice, bob, charlie, bob_api):
    made = make_organization(alice, "team", member=bob)
    joined = made.memberships.get(user=bob).created_at.isoformat()
    listed = bob_api.get("/api/orgs/team/members").json()
    assert [one["login"] for one in listed] == ["alice", "bob"]
    assert listed[1] == {
        "userId": str(bob.pk), "login": "bob", "name": "Bob", "role": "member", "joinedAt": joined
    }  # fmt: skip


def test_the_list_of_members_comes_in_parts(alice, bob, charlie, alice_api):
    made = make_organization(alice, "team", member=bob)
    add_to(made, charlie)
    first = alice_api.get("/api/orgs/team/members?limit=2")
    after = made.memberships.get(user=bob).pk
    assert first["Link"].endswith(f'/api/orgs/team/members?limit=2&after={after}>; rel="next"')
    rest = alice_api.get(f"/api/orgs/team/members?limit=2&after={after}")
    assert ([one["login"] for one in rest.json()], rest.has_header("Link")) == (["charlie"], False)


@pytest.mark.parametrize("after", ["x", "-1", str(2**63), "\u0661"])
def test_a_part_of_the_members_that_can_not_be_is_refused(alice_api, after):
    assert alice_api.get("/api/orgs/alice/members", after=after).status_code == 400


@pytest.mark.parametrize("role", ["owner", "admin", "member"])
def test_an_owner_makes_a_member_anything(alice, bob, alice_api, role):
    made = make_organization(alice, "team")
    add_to(made, bob, "member" if role == "admin" else "admin")
    before = roles(made)["bob"]
    assert change(alice_api, bob, role).json()["role"] == role
    assert roles(made) == {"alice": "owner", "bob": role}
    event = AuditEvent.objects.get(action="organization.member_changed")
    assert (event.actor_id, event.target_id, event.organization_id) == (alice.pk, str(bob.pk), made.pk)
    assert event.details == {"organization": "team", "from": before, "to": role}


def test_an_unchanged_role_leaves_no_row(alice, bob, alice_api):
    make_organization(alice, "team", admin=bob)
    assert change(alice_api, bob, "admin").status_code == 200
    assert not AuditEvent.objects.filter(action="organization.member_changed").exists()


def test_an_admin_decides_about_admins_and_members_and_no_owner(alice, bob, charlie, bob_api):
    made = make_organization(alice, "team", admin=bob)
    add_to(made, charlie)
    assert change(bob_api, charlie, "admin").status_code == 200
    assert told(change(bob_api, charlie, "owner")) == (403, {"error": OWNERS_ONLY})
    assert told(change(bob_api, alice, "member")) == (403, {"error": OWNERS_ONLY})
    assert told(change(bob_api, bob, "owner")) == (403, {"error": OWNERS_ONLY})
    removed = bob_api.request("DELETE", f"/api/orgs/team/members/{alice.pk}")
    assert told(removed) == (403, {"error": "Only an owner may remove an owner. Ask one of them."})
    assert bob_api.request("DELETE", f"/api/orgs/team/members/{charlie.pk}").status_code == 200
    assert roles(made) == {"alice": "owner", "bob": "admin"}


def test_a_member_decides_about_nobody(alice, bob, charlie, bob_api):
    made = make_organization(alice, "team", member=bob)
    add_to(made, charlie)
    sentence = {"error": "Only owners and admins of this organization may do this. Ask one of them."}
    assert told(change(bob_api, charlie, "admin")) == (403, sentence)
    assert told(change(bob_api, bob, "admin")) == (403, sentence)
    assert told(bob_api.request("DELETE", f"/api/orgs/team/members/{charlie.pk}")) == (403, sentence)


@pytest.mark.parametrize("body", [{}, {"role": "boss"}, {"role": None}, {"role": 1}])
def test_an_unknown_role_is_refused(alice, bob, alice_api, body):
    make_organization(alice, "team", member=bob)
    data = json.dumps(body).encode()
    answer = alice_api.request("PATCH", f"/api/orgs/team/members/{bob.pk}", data=data, content_type="application/json")
    assert answer.status_code == 400


def test_whoever_is_no_member_can_be_made_nothing(alice, charlie, alice_api):
    make_organization(alice, "team")
    absent = (404, {"error": "This person is no member of the organization."})
    assert told(change(alice_api, charlie, "admin")) == absent
    assert told(alice_api.request("DELETE", f"/api/orgs/team/members/{charlie.pk}")) == absent
    assert told(alice_api.post("/api/orgs/team/transfer", {"userId": str(charlie.pk)}))[0] == 404


def test_an_owner_always_stays(alice, bob, alice_api):
    made = make_organization(alice, "team", admin=bob)
    assert told(alice_api.post("/api/orgs/team/leave")) == (409, LAST)
    assert told(alice_api.request("DELETE", f"/api/orgs/team/members/{alice.pk}")) == (409, LAST)
    assert told(change(alice_api, alice, "admin")) == (409, LAST)
    assert roles(made) == {"alice": "owner", "bob": "admin"}


def test_an_owner_who_is_shut_out_does_not_count(alice, bob, alice_api):
    make_organization(alice, "team", owner=bob)
    User.objects.filter(pk=bob.pk).update(is_active=False)
    assert told(alice_api.post("/api/orgs/team/leave")) == (409, LAST)
    User.objects.filter(pk=bob.pk).update(is_active=True)
    assert told(alice_api.post("/api/orgs/team/leave")) == (200, {"status": "left"})


def test_nobody_leaves_their_personal_one(alice, alice_api):
    assert alice_api.post("/api/orgs/alice/leave").status_code == 409
    assert alice.memberships.count() == 1


@pytest.mark.parametrize("way", ["left", "member_removed"])
def test_who_is_no_member_any_more_has_nothing_of_it(alice, bob, alice_api, way):
    made = make_organization(alice, "team", admin=bob)
    described = AccessToken(client_name="crayon CLI")
    own, kept = token_of(bob), tokens.issue(user=bob, organization=made, client=described, now=timezone.now())
    ends_at = timezone.now() + timedelta(days=1)
    in_team, elsewhere = (
        Login.objects.create(user=bob, organization=organization, created_at=timezone.now(), ends_at=ends_at)
        for organization in (made, bob.personal_organization)
    )
    invite(made, "somebody@example.com", by=bob)
    others = invite(made, "another@example.com", by=alice).invitation
    if way == "left":
        APIClient(own).post("/api/orgs/team/leave")
    else:
        alice_api.request("DELETE", f"/api/orgs/team/members/{bob.pk}")

    assert APIClient(kept[1]).get("/api/orgs").status_code == 401
    assert APIClient(own).get("/api/orgs/team").status_code == 404
    assert list(Invitation.objects.waiting(timezone.now())) == [others]
    assert list(Login.objects.alive()) == [elsewhere]
    in_team.refresh_from_db()
    assert in_team.revoked_for == "membership ended"
    event = AuditEvent.objects.get(action=f"organization.{way}")
    assert (event.target_id, event.organization_id) == (str(bob.pk), made.pk)
    # What they had does not come back with them.
    add_to(made, bob)
    assert APIClient(kept[1]).get("/api/orgs").status_code == 401


def test_who_may_not_invite_any_more_has_invited_nobody(alice, bob, alice_api):
    made = make_organization(alice, "team", owner=bob)
    invite(made, "owner@example.com", by=bob, role="owner")
    invite(made, "member@example.com", by=bob)

    def waiting():
        return sorted(made.invitations.waiting(timezone.now()).values_list("email", flat=True))

    change(alice_api, bob, "admin")
    assert waiting() == ["member@example.com"]
    change(alice_api, bob, "member")
    assert waiting() == []


def test_it_is_handed_over_to_a_member_and_its_owner_stays_as_an_admin(alice, bob, alice_api):
    made = make_organization(alice, "team", member=bob)
    answer = alice_api.post("/api/orgs/team/transfer", {"userId": str(bob.pk)})
    assert (answer.status_code, answer.json()["login"], answer.json()["role"]) == (200, "bob", "owner")
    assert roles(made) == {"alice": "admin", "bob": "owner"}
    event = AuditEvent.objects.get(action="organization.transferred")
    assert (event.actor_id, event.target_id, event.organization_id) == (alice.pk, str(bob.pk), made.pk)


@pytest.mark.parametrize("whom", ["themselves", "shut out"])
def test_it_is_not_handed_over_to_nobody(alice, bob, alice_api, whom):
    made = make_organization(alice, "team", member=bob)
    User.objects.filter(pk=bob.pk).update(is_active=False)
    to = alice if whom == "themselves" else bob
    assert alice_api.post("/api/orgs/team/transfer", {"userId": str(to.pk)}).status_code == 404
    assert roles(made)["alice"] == "owner"


@pytest.mark.parametrize("user_id", ["", "bob", 7, None])
def test_an_id_that_can_not_be_is_refused(alice, alice_api, user_id):
    make_organization(alice, "team")
    assert alice_api.post("/api/orgs/team/transfer", {"userId": user_id}).status_code == 400


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", ["leave", "demote", "each other", "transfer"])
def test_of_two_owners_who_go_at_once_one_stays(way):
    for attempt in range(5):
        one, other = make_person(f"one-{attempt}"), make_person(f"other-{attempt}")
        made = make_organization(one, f"team-{attempt}", owner=other)

        def go(person, whom, slug=made.slug):
            now = timezone.now()
            try:
                if way == "leave":
                    members.leave(slug=slug, person=person, now=now)
                elif way == "transfer":
                    members.transfer(slug=slug, user_id=whom.pk, person=person, now=now)
                else:
                    user_id = whom.pk if way == "each other" else person.pk
                    members.change_role(slug=slug, user_id=user_id, role=Membership.Role.MEMBER, person=person, now=now)
            except (LastOwner, AdminsOnly, OwnersOnly, NoSuchOrganization) as error:
                return type(error).__name__
            return ""

        outcomes = at_once(
            lambda go=go, one=one, other=other: go(one, other), lambda go=go, one=one, other=other: go(other, one)
        )
        # Whoever has been handed it may hand it back.
        assert outcomes.count("") == 1 or way == "transfer", outcomes
        assert made.memberships.filter(role="owner").count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_owners_who_leave_at_once_one_stays():
    people = [make_person(f"person-{number}") for number in range(8)]
    made = make_organization(people[0], "team")
    for person in people[1:]:
        add_to(made, person, "owner")

    def go(person):
        try:
            members.leave(slug="team", person=person, now=timezone.now())
        except LastOwner:
            return False
        return True

    outcomes = at_once(*[lambda person=person: go(person) for person in people])
    assert sorted(outcomes) == [False] + [True] * 7
    assert roles(made) == {people[outcomes.index(False)].username: "owner"}
