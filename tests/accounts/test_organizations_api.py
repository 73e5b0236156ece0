"""/api/orgs: making organizations, reading them as a member, renaming and deleting them."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AccessToken, AuditEvent, Membership, Organization
from accounts.services import api_keys, members, organizations
from core import rate_limits
from tests.accounts.keys import personal
from tests.accounts.organization_builders import add_to, invite, make_organization
from tests.clouddev.builders import make_machine
from tests.conftest import APIClient, token_of
from tests.deployments.builders import make_deployment
from tests.operators import connection_of

pytestmark = pytest.mark.django_db
BODY = {"name": "The Team", "slug": "the-team"}
ABSENT = (404, {"error": "There is no such organization, or you are no member of it."})


def told(answer):
    return answer.status_code, answer.json()


# --- making -------------------------------------------------------------------------------------


def test_whoever_makes_one_is_its_owner(alice, alice_api):
    answer = alice_api.post("/api/orgs", BODY)
    made = Organization.objects.get(slug="the-team")
    assert told(answer) == (201, {"id": str(made.pk), "slug": "the-team"})
    assert (made.name, made.tier, made.region, made.made_by) == ("The Team", "FREE", "", alice)
    assert list(made.memberships.values_list("user_id", "role")) == [(alice.pk, "owner")]
    event = AuditEvent.objects.get(action="organization.created")
    assert (event.actor_id, event.organization_id, event.target_id) == (alice.pk, made.pk, str(made.pk))


@pytest.mark.parametrize("declared", ["", "application/json", "application/x-www-form-urlencoded"])
def test_the_body_is_json_whatever_curl_says_of_it(alice_api, declared):
    data = b'{"name": "The Team", "slug": "the-team", "tier": "FREE", "region": "eu-west"}'
    answer = alice_api.request("POST", "/api/orgs", data=data, content_type=declared)
    assert answer.status_code == 201
    assert Organization.objects.get(slug="the-team").region == "eu-west"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "name: This field is required."),
        ({"name": "Team"}, "slug: This field is required."),
        ({"name": " ", "slug": "team"}, "name: This field may not be blank."),
        ({"name": "x" * 256, "slug": "team"}, "name: Ensure this field has no more than 255 characters."),
        ({"name": "Te\nam", "slug": "team"}, "name: Only printable characters are allowed."),
        ({"name": "Team", "slug": 7}, "slug: Not a valid string."),
        ({"name": "Team", "slug": "x" * 101}, "slug: Ensure this field has no more than 100 characters."),
        ({**BODY, "tier": "GOLD"}, "tier: Choose one of these: FREE."),
        ({**BODY, "region": "x" * 51}, "region: Ensure this field has no more than 50 characters."),
    ],
)
def test_it_refuses_what_is_malformed(alice_api, body, sentence):
    assert told(alice_api.post("/api/orgs", body)) == (400, {"error": sentence})
    assert not Organization.objects.shared().exists()


@pytest.mark.parametrize("slug", ["Team", "-team", "team-", "te--am", "te_am", "te am", "té", "team\u0661", "team/x"])
def test_a_slug_is_lower_case_letters_and_digits_with_single_hyphens(alice_api, slug):
    sentence = "slug: Use lower-case letters and digits, with single hyphens between them."
    assert told(alice_api.post("/api/orgs", {"name": "Team", "slug": slug})) == (400, {"error": sentence})


@pytest.mark.parametrize("slug", ["a", "0", "a-b-c", "x" * 100])
def test_it_takes_every_other_slug(alice_api, slug):
    assert alice_api.post("/api/orgs", {"name": "Team", "slug": slug}).status_code == 201


def test_a_taken_slug_is_a_conflict_be_it_somebodys_personal_one(alice_api, bob):
    sentence = {"error": "This slug is taken. Choose another one."}
    assert told(alice_api.post("/api/orgs", {"name": "B", "slug": "bob"})) == (409, sentence)
    alice_api.post("/api/orgs", BODY)
    assert told(alice_api.post("/api/orgs", BODY)) == (409, sentence)


def test_nobody_makes_one_without_a_token(nobody_api):
    assert nobody_api.post("/api/orgs", BODY).status_code == 401


def test_the_tier_is_one_of_those_that_the_settings_offer(alice_api, settings):
    settings.ORGANIZATION_TIERS = ["STARTER", "PRO"]
    alice_api.post("/api/orgs", BODY)
    alice_api.post("/api/orgs", {"name": "Pro", "slug": "pro", "tier": "PRO"})
    assert dict(Organization.objects.shared().values_list("slug", "tier")) == {"the-team": "STARTER", "pro": "PRO"}


def test_a_person_makes_as_many_as_the_quota_says_and_more_when_some_are_gone_or_others(
    alice, bob, alice_api, settings
):
    settings.ORGANIZATIONS_PER_PERSON = 2
    for slug in ("one", "two"):
        assert alice_api.post("/api/orgs", {"name": slug, "slug": slug}).status_code == 201
    refused = alice_api.post("/api/orgs", {"name": "three", "slug": "three"})
    assert refused.status_code == 403
    assert refused.json()["error"].startswith("You have made 2 organizations that you own, which is the most")
    alice_api.request("DELETE", "/api/orgs/one")
    assert alice_api.post("/api/orgs", {"name": "three", "slug": "three"}).status_code == 201
    add_to(Organization.objects.get(slug="two"), bob)
    alice_api.post("/api/orgs/two/transfer", {"userId": str(bob.pk)})
    assert alice_api.post("/api/orgs", {"name": "four", "slug": "four"}).status_code == 201


def test_nobodys_quota_is_filled_by_what_others_give_them(alice, bob, bob_api, settings):
    settings.ORGANIZATIONS_PER_PERSON = 1
    make_organization(alice, "gift", owner=bob)
    assert bob_api.post("/api/orgs", BODY).status_code == 201


def test_making_them_can_be_left_to_operators(alice_api, settings):
    settings.ORGANIZATIONS_PER_PERSON = 0
    sentence = "On this server organizations are made by its operators. Ask one of them."
    assert told(alice_api.post("/api/orgs", BODY)) == (403, {"error": sentence})


def test_attempts_are_limited(alice_api):
    rate_limits.forget_all()
    statuses = [alice_api.post("/api/orgs", {"name": "B", "slug": "alice"}).status_code for _ in range(31)]
    assert (set(statuses[:30]), statuses[30]) == ({409}, 429)


# --- reading ------------------------------------------------------------------------------------


def test_a_member_sees_exactly_these_fields(alice, bob, bob_api):
    made = make_organization(alice, "team", member=bob)
    answer = bob_api.get("/api/orgs/team")
    created_at = made.created_at.isoformat()
    assert told(answer) == (
        200,
        {"id": str(made.pk), "name": "Team", "slug": "team", "tier": "FREE", "region": None, "createdAt": created_at},
    )


@pytest.mark.parametrize("path", ["", "/members", "/invitations"])
def test_to_strangers_it_looks_absent(alice, charlie_api, path):
    make_organization(alice, "team")
    strange, absent = charlie_api.get(f"/api/orgs/team{path}"), charlie_api.get(f"/api/orgs/none{path}")
    assert told(strange) == told(absent) == ABSENT


@pytest.mark.parametrize("slug", ["Team", "te%00am", "t%2Fm", "%F0%9F%98%80", "x" * 300])
def test_what_can_not_be_a_slug_is_absent_too(alice_api, slug):
    assert told(alice_api.get(f"/api/orgs/{slug}"))[0] == 404
    assert told(alice_api.post(f"/api/orgs/{slug}/leave"))[0] == 404


def test_the_list_has_all_of_ones_own_and_no_others(alice, bob, bob_api):
    make_organization(alice, "team", admin=bob)
    make_organization(alice, "secret")
    assert [one["slug"] for one in bob_api.get("/api/orgs").json()] == ["bob", "team"]


def test_the_list_comes_in_parts(alice, alice_api, settings):
    settings.ORGANIZATIONS_PER_PERSON = 30
    for number in range(5):
        make_organization(alice, f"team-{number}")
    seen, path = [], "/api/orgs?limit=2"
    while path:
        answer = alice_api.get(path)
        seen.append([one["slug"] for one in answer.json()])
        link = re.fullmatch(
            r'<http://testserver(.*)>; rel="next"|',
            answer.get("Link", "").replace(settings.PUBLIC_URL, "http://testserver"),
        )
        path = link.group(1) if link else ""
    assert seen == [["alice", "team-0"], ["team-1", "team-2"], ["team-3", "team-4"]]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("limit=0", "limit: Give a whole number from 1 to 100."),
        ("limit=101", "limit: Give a whole number from 1 to 100."),
        ("limit=x", "limit: Give a whole number from 1 to 100."),
        ("limit=\u0661", "limit: Give a whole number from 1 to 100."),
        ("after=" + "x" * 101, "after: Ensure this field has no more than 100 characters."),
    ],
)
def test_a_part_that_can_not_be_is_refused(alice_api, query, sentence):
    assert told(alice_api.get(f"/api/orgs?{query}")) == (400, {"error": sentence})


def test_each_answer_takes_two_queries(alice, alice_api, django_assert_num_queries):
    make_organization(alice, "team")
    alice_api.get("/api/orgs")
    for path in ("/api/orgs", "/api/orgs/team"):
        with django_assert_num_queries(2):
            alice_api.get(path)
    with django_assert_num_queries(3):
        alice_api.get("/api/orgs/team/members")


# --- renaming and deleting ----------------------------------------------------------------------


def test_an_owner_renames_it_and_the_slug_stays(alice, alice_api):
    made = make_organization(alice, "team")
    answer = alice_api.request("PATCH", "/api/orgs/team", data=b'{"name": "A-Team"}', content_type="application/json")
    assert (answer.status_code, answer.json()["name"], answer.json()["slug"]) == (200, "A-Team", "team")
    event = AuditEvent.objects.get(action="organization.renamed")
    assert (event.organization_id, event.details) == (made.pk, {"from": "Team", "to": "A-Team"})


@pytest.mark.parametrize("role", ["admin", "member"])
@pytest.mark.parametrize(("method", "body"), [("PATCH", b'{"name": "Mine"}'), ("DELETE", b"")])
def test_only_owners_rename_and_delete(alice, bob, bob_api, role, method, body):
    make_organization(alice, "team", **{role: bob})
    answer = bob_api.request(method, "/api/orgs/team", data=body, content_type="application/json")
    sentence = "Only an owner of this organization may do this. Ask one of them."
    assert told(answer) == (403, {"error": sentence})
    assert Organization.objects.get(slug="team").name == "Team"


def test_an_empty_one_is_deleted_with_what_its_members_were_given(alice, bob, alice_api):
    made = make_organization(alice, "team", member=bob)
    invite(made, "somebody@example.com", by=alice)
    AccessToken.objects.create(
        digest=b"fake", user=bob, organization=made, created_at=timezone.now(), expires_at=timezone.now()
    )
    assert told(alice_api.request("DELETE", "/api/orgs/team")) == (200, {"status": "deleted"})
    assert not Organization.objects.shared().exists()
    event = AuditEvent.objects.get(action="organization.deleted")
    assert (event.target_label, event.organization_id, event.details) == ("team", made.pk, {"members": 2})
    assert told(alice_api.get("/api/orgs/team")) == ABSENT


def test_what_is_in_it_keeps_it(alice, alice_api):
    made = make_organization(alice, "team")
    held = [
        make_deployment(alice, "shop"),
        make_machine(alice, "one"),
        make_machine(alice, "two"),
        connection_of(alice),
    ]
    for row in held:
        type(row).objects.filter(pk=row.pk).update(organization=made)
    answer = alice_api.request("DELETE", "/api/orgs/team")
    assert answer.status_code == 409
    assert answer.json()["error"].endswith("is not empty: it has " + _in_any_order(answer) + ". Remove that first.")
    for row in held:
        assert alice_api.request("DELETE", "/api/orgs/team").status_code == 409
        type(row).objects.filter(pk=row.pk).delete()
    assert alice_api.request("DELETE", "/api/orgs/team").status_code == 200


def _in_any_order(answer):
    said = re.search("it has (.*)[.] Remove", answer.json()["error"]).group(1)
    assert set(re.split(", | and ", said)) == {"1 app", "2 workspaces", "1 connected account"}
    return said


def test_every_table_that_keeps_an_organization_says_so_in_words():
    """A deletion that PostgreSQL would refuse is refused with a sentence."""
    keeping = {
        relation.related_model.__name__
        for relation in Organization._meta.related_objects
        if getattr(relation.on_delete, "__name__", "") == "PROTECT"
    }
    # Builds go with their app.
    assert keeping == {"Deployment", "Build", "Machine", "Connection"}


def test_a_personal_one_is_renamed_and_not_deleted(alice, alice_api):
    answer = alice_api.request("PATCH", "/api/orgs/alice", data=b'{"name": "Me"}', content_type="application/json")
    assert answer.status_code == 200
    answer = alice_api.request("DELETE", "/api/orgs/alice")
    assert (answer.status_code, answer.json()["error"].partition(":")[0]) == (
        409,
        "A personal organization is its person's alone",
    )


def test_nothing_changes_in_a_suspended_one_but_that_somebody_leaves(alice, bob, alice_api, bob_api):
    make_organization(alice, "team", member=bob)
    Organization.objects.filter(slug="team").update(suspended_at=timezone.now())
    sentence = "This organization is suspended. Ask an operator of this server to restore it."
    for method, path, body in (
        ("PATCH", "", b'{"name": "X"}'),
        ("DELETE", "", b""),
        ("POST", "/invitations", b'{"email": "a@example.com"}'),
        ("PATCH", f"/members/{bob.pk}", b'{"role": "admin"}'),
        ("DELETE", f"/members/{bob.pk}", b""),
        ("POST", "/transfer", f'{{"userId": "{bob.pk}"}}'.encode()),
    ):
        answer = alice_api.request(method, f"/api/orgs/team{path}", data=body, content_type="application/json")
        assert told(answer) == (403, {"error": sentence}), path
    assert alice_api.get("/api/orgs/team").status_code == 200
    assert told(bob_api.post("/api/orgs/team/leave")) == (200, {"status": "left"})


def test_somebody_whose_access_ended_meanwhile_makes_none(alice):
    alice.access_epoch += 1
    with pytest.raises(organizations.access.AccessEnded):
        organizations.create(name="Team", slug="team", person=alice)


def test_a_token_of_a_suspended_organization_is_refused(alice):
    made = make_organization(alice, "team")
    token = token_of(alice)
    AccessToken.objects.filter(user=alice).update(organization=made)
    assert APIClient(token).get("/api/orgs").status_code == 200
    Organization.objects.filter(pk=made.pk).update(suspended_at=timezone.now() - timedelta(seconds=1))
    assert APIClient(token).get("/api/orgs").status_code == 403


def test_role_in_says_what_somebody_is(alice, bob, charlie):
    made = make_organization(alice, "team", admin=bob)
    roles = [organizations.role_in(organization=made, person=person) for person in (alice, bob, charlie)]
    assert roles == [Membership.Role.OWNER, Membership.Role.ADMIN, None]


def test_a_key_reaches_the_organization_that_it_is_for_and_no_other(alice):
    made = make_organization(alice, "team")
    make_organization(alice, "other")
    wanted = api_keys.WantedKey(name="CI")
    key = api_keys.issue(by=alice, organization_id=made.pk, wanted=wanted, now=timezone.now())
    api = APIClient(key.plain)
    assert [one["slug"] for one in api.get("/api/orgs").json()] == ["team"]
    assert [api.get(f"/api/orgs/{slug}").status_code for slug in ("team", "other", "alice")] == [200, 404, 404]
    renamed = [
        api.request("PATCH", f"/api/orgs/{slug}", data=b'{"name": "X"}', content_type="application/json").status_code
        for slug in ("team", "other")
    ]
    assert renamed == [200, 404]


@pytest.mark.parametrize(("scope", "reads", "makes"), [("orgs:read", 200, 403), ("orgs:admin", 403, 201)])
def test_a_narrowed_key_does_what_it_was_made_for(alice, scope, reads, makes):
    api = APIClient(personal(alice, scopes=frozenset({scope})).plain)
    assert (api.get("/api/orgs").status_code, api.post("/api/orgs", BODY).status_code) == (reads, makes)


def test_whoever_leaves_has_no_key_for_it_any_more(alice, bob):
    made = make_organization(alice, "team", member=bob)
    key = api_keys.issue(by=bob, organization_id=made.pk, wanted=api_keys.WantedKey(name="CI"), now=timezone.now())
    members.leave(slug="team", person=bob, now=timezone.now())
    add_to(made, bob)
    assert APIClient(key.plain).get("/api/orgs").status_code == 401
