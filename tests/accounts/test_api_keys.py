"""Making, listing, rotating and revoking keys by the API: /api/keys and /api/orgs/{slug}/worker-tokens."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from accounts import key_format
from accounts.models import APIKey, AuditEvent, Membership, Organization
from accounts.services import api_keys, organizations, users
from accounts.services.access import AccessEnded
from core.crypto import digest
from tests.accounts.keys import of_worker, personal
from tests.accounts.threads import at_once
from tests.conftest import APIClient

pytestmark = pytest.mark.django_db
NO_KEY = {"error": "This API key is not there any more."}
OWN_LOGIN = {
    "error": "No API key and no narrowed token may do this. Sign in yourself: in a browser, or by `crayon login`."
}


def test_a_key_is_made_and_told_this_once(alice, alice_api):
    with time_machine.travel(datetime(2026, 1, 1, tzinfo=UTC), tick=False):
        answer = alice_api.post(
            "/api/keys", {"name": " CI ", "scopes": ["tools:use", "deployments:write"], "networks": ["192.0.2.7/24"]}
        )
    assert answer.status_code == 201
    told = answer.json()["data"]
    row = APIKey.objects.get()
    plain = told.pop("key")
    assert key_format.is_whole(plain, key_format.PERSONAL)
    assert bytes(row.digest) == digest(plain)
    assert told == {
        "id": str(row.pk),
        "name": "CI",
        "start": plain[:16],
        "organization": "alice",
        "scopes": ["deployments:write", "tools:use"],
        "networks": ["192.0.2.0/24"],
        "createdAt": "2026-01-01T00:00:00+00:00",
        "expiresAt": "2026-04-01T00:00:00+00:00",
        "lastUsedAt": None,
        "lastUsedAddress": None,
    }
    event = AuditEvent.objects.get(action="api_key.made")
    assert (event.actor_id, event.target_id, event.organization_id) == (alice.pk, str(row.pk), row.organization_id)
    assert plain not in str(AuditEvent.objects.values())


def test_the_list_has_what_was_told_but_for_the_key(alice_api, django_assert_num_queries):
    told = [alice_api.post("/api/keys", {"name": "CI"}).json()["data"] for _ in range(3)]
    plain = [key.pop("key") for key in told]
    with django_assert_num_queries(2):
        listed = alice_api.get("/api/keys")
    assert listed.json() == {"data": told[::-1]}
    assert not any(key in listed.content.decode() for key in plain)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "name: This field is required."),
        ({"name": " "}, "name: This field may not be blank."),
        ({"name": "a\u202eb"}, "name: Only printable characters are allowed."),
        ({"name": "x" * 101}, "name: Ensure this field has no more than 100 characters."),
        ({"name": "x", "scopes": []}, "scopes: This must be a list of scopes with at least one in it"),
        ({"name": "x", "scopes": ["all"]}, "scopes: There are these scopes: "),
        ({"name": "x", "scopes": [["tools:use"]]}, "scopes: There are these scopes: "),
        ({"name": "x", "expiresInDays": 0}, "expiresInDays: Input should be greater than or equal to 1"),
        ({"name": "x", "expiresInDays": 366}, "expiresInDays: Input should be less than or equal to 365"),
        ({"name": "x", "expiresInDays": None}, "expiresInDays: This field may not be null."),
        ({"name": "x", "networks": ["here"]}, "networks: A network looks like 192.0.2.0/24 or 2001:db8::/32."),
        ({"name": "x", "networks": ["fe80::1%eth0/64"]}, "networks: A network looks like "),
        ({"name": "x", "networks": [7]}, "networks: A network looks like "),
        ({"name": "x", "networks": "192.0.2.0/24"}, "networks: This must be a list of at most 20 networks."),
        ({"name": "x", "networks": ["192.0.2.1"] * 21}, "networks: This must be a list of at most 20 networks."),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_told(alice_api, body, sentence):
    answer = alice_api.post("/api/keys", body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(sentence)
    assert not APIKey.objects.exists()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_key_makes_or_shows_keys(alice, method):
    for key in (personal(alice), personal(alice, scopes=frozenset({"orgs:admin"}))):
        answer = APIClient(key.plain).request(
            method, "/api/keys", data='{"name": "x"}', content_type="application/json"
        )
        assert (answer.status_code, answer.json()) == (403, OWN_LOGIN)
    assert APIKey.objects.count() == 2


def test_a_key_is_revoked_with_the_very_next_request(alice, alice_api):
    made = personal(alice)
    answers = [alice_api.request("DELETE", f"/api/keys/{made.row.pk}") for _ in range(2)]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, {"data": {"status": "revoked"}})] * 2
    assert APIClient(made.plain).get("/api/cloud-dev/list").status_code == 401
    assert AuditEvent.objects.filter(action="api_key.revoked").count() == 1
    assert alice_api.get("/api/keys").json() == {"data": []}


def test_nobody_revokes_or_rotates_anothers(alice, bob_api):
    keys = [personal(alice).row.pk, of_worker(alice).row.pk]
    for key_id in keys:
        answers = [
            bob_api.request("DELETE", f"/api/keys/{key_id}"),
            bob_api.post(f"/api/keys/{key_id}/rotate"),
            bob_api.request("DELETE", "/api/keys/00000000-0000-4000-8000-000000000000"),
        ]
        assert [(answer.status_code, answer.json()) for answer in answers] == [(404, NO_KEY)] * 3
    assert APIKey.objects.filter(revoked_at=None).count() == APIKey.objects.count() == 2


def test_a_rotated_key_goes_on_for_so_many_hours(alice, alice_api):
    made = personal(alice, scopes=frozenset({"workspaces:read"}), networks=("127.0.0.0/8",), days=30)
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        answer = alice_api.post(f"/api/keys/{made.row.pk}/rotate", {"overlapHours": 2})
    assert answer.status_code == 201
    fresh = answer.json()["data"]
    row = APIKey.objects.get(pk=fresh["id"])
    assert (row.scopes, row.networks, row.replaces_id) == (["workspaces:read"], ["127.0.0.0/8"], made.row.pk)
    assert row.expires_at == now + timedelta(days=30)
    for key in (made.plain, fresh["key"]):
        assert APIClient(key).get("/api/cloud-dev/list").status_code == 200
    with time_machine.travel(now + timedelta(hours=2), tick=False):
        assert APIClient(made.plain).get("/api/cloud-dev/list").status_code == 401
        assert APIClient(fresh["key"]).get("/api/cloud-dev/list").status_code == 200
    event = AuditEvent.objects.get(action="api_key.rotated")
    assert (event.target_id, event.details["replaces"]) == (fresh["id"], str(made.row.pk))


def test_without_an_overlap_the_old_one_ends_at_once(alice, alice_api):
    made = personal(alice)
    assert alice_api.post(f"/api/keys/{made.row.pk}/rotate", {"overlapHours": 0}).status_code == 201
    assert APIClient(made.plain).get("/api/cloud-dev/list").status_code == 401


@pytest.mark.parametrize("hours", [-1, 25, "x", None])
def test_an_overlap_lasts_a_day_at_most(alice, alice_api, hours):
    made = personal(alice)
    assert alice_api.post(f"/api/keys/{made.row.pk}/rotate", {"overlapHours": hours}).status_code == 400
    now = timezone.now()
    api_keys.rotate(key_id=made.row.pk, by=alice, overlap=timedelta(days=9), now=now)
    assert APIKey.objects.get(pk=made.row.pk).expires_at == now + timedelta(days=1)


def test_an_overlap_is_no_longer_than_the_key_had(alice):
    made = personal(alice, days=1)
    almost = made.row.expires_at - timedelta(minutes=1)
    api_keys.rotate(key_id=made.row.pk, by=alice, overlap=timedelta(hours=1), now=almost)
    assert APIKey.objects.get(pk=made.row.pk).expires_at == made.row.expires_at


def test_a_key_is_rotated_once_and_only_while_it_works(alice, alice_api):
    made = personal(alice)
    path = f"/api/keys/{made.row.pk}/rotate"
    assert [alice_api.post(path).status_code for _ in range(2)] == [201, 409]
    APIKey.objects.update(revoked_at=timezone.now())
    assert alice_api.post(path).json() == {"error": str(api_keys.KeyIsOver.default)}


@pytest.mark.django_db(transaction=True)
def test_of_two_rotations_at_once_one_makes_a_key(alice):
    made = personal(alice)

    def rotate() -> str:
        try:
            api_keys.rotate(key_id=made.row.pk, by=alice, overlap=timedelta(hours=1), now=timezone.now())
        except api_keys.AlreadyRotated:
            return "late"
        return "rotated"

    assert sorted(at_once(*[rotate] * 4)) == ["late", "late", "late", "rotated"]
    assert APIKey.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_rotation_at_the_moment_of_signing_out_leaves_no_key(alice):
    made = personal(alice)

    def rotate() -> None:
        try:
            api_keys.rotate(key_id=made.row.pk, by=alice, overlap=timedelta(hours=1), now=timezone.now())
        except (AccessEnded, api_keys.KeyIsOver):
            return

    at_once(rotate, lambda: users.revoke_everything(user=alice, by=alice, now=timezone.now()))
    assert not APIKey.objects.filter(revoked_at=None).exists()


def test_there_is_an_end_to_how_many_keys_work(alice, alice_api, monkeypatch):
    monkeypatch.setattr(api_keys, "PER_PERSON", 2)
    answers = [alice_api.post("/api/keys", {"name": "CI"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 409]
    APIKey.objects.filter(pk=answers[0].json()["data"]["id"]).update(expires_at=timezone.now())
    assert alice_api.post("/api/keys", {"name": "CI"}).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_no_more_are_made_than_may_be(alice, monkeypatch):
    monkeypatch.setattr(api_keys, "PER_PERSON", 2)
    monkeypatch.setattr(api_keys, "WORKERS_PER_ORGANIZATION", 2)

    def make(kind: str) -> int:
        try:
            personal(alice) if kind == "own" else of_worker(alice)
        except api_keys.TooManyKeys:
            return 0
        return 1

    assert sum(at_once(*[lambda: make("own")] * 5)) == 2
    assert sum(at_once(*[lambda: make("worker")] * 5)) == 2


def test_so_many_are_made_within_an_hour(alice, alice_api, monkeypatch):
    monkeypatch.setattr(api_keys, "PER_PERSON", 100)
    statuses = [alice_api.post("/api/keys", {"name": "CI"}).status_code for _ in range(31)]
    assert statuses == [201] * 30 + [429]


# --- keys of workers ----------------------------------------------------------------------------


@pytest.fixture
def shared(alice, bob):
    """An organization of alice's in which bob is a member."""
    organization = Organization.objects.create(name="Acme", slug="acme")
    Membership.objects.create(organization=organization, user=alice, role="owner")
    Membership.objects.create(organization=organization, user=bob, role="member")
    return organization


TOKENS = "/api/orgs/acme/worker-tokens"


@pytest.mark.parametrize("role", ["owner", "admin"])
def test_those_who_manage_an_organization_make_keys_of_its_workers(shared, bob, bob_api, role):
    Membership.objects.filter(user=bob, organization=shared).update(role=role)
    answer = bob_api.post(TOKENS, {"displayName": "worker-1"})
    assert (answer.status_code, list(answer.json())) == (201, ["token"])
    row = APIKey.objects.get()
    assert key_format.is_whole(answer.json()["token"], key_format.WORKER)
    assert (row.kind, row.user_id, row.organization, row.made_by, row.expires_at) == ("worker", None, shared, bob, None)
    event = AuditEvent.objects.get(action="worker_key.made")
    assert (event.actor_id, event.organization_id) == (bob.pk, shared.pk)


def test_members_make_none_and_strangers_find_no_such_organization(shared, bob_api, charlie_api):
    answer = bob_api.post(TOKENS, {"displayName": "x"})
    assert (answer.status_code, answer.json()) == (403, {"error": str(organizations.AdminsOnly.default)})
    for path in (TOKENS, "/api/orgs/none/worker-tokens", "/api/orgs/%00/worker-tokens"):
        answer = charlie_api.post(path, {"displayName": "x"})
        assert (answer.status_code, answer.json()) == (404, {"error": str(organizations.NoSuchOrganization.default)})
    assert not APIKey.objects.exists()


def test_a_suspended_organization_gets_none(shared, alice_api):
    Organization.objects.filter(pk=shared.pk).update(suspended_at=timezone.now())
    answer = alice_api.post(TOKENS, {"displayName": "x"})
    assert (answer.status_code, answer.json()) == (403, {"error": str(organizations.OrganizationSuspended.default)})


def test_a_workers_key_outlives_whoever_made_it_and_admins_end_it(shared, alice_api, bob, nobody_api):
    Membership.objects.filter(user=bob, organization=shared).update(role="admin")
    made = api_keys.make_for_worker(
        by=bob, slug="acme", wanted=api_keys.WantedKey(name="worker-1", days=None), now=timezone.now()
    )
    users.revoke_everything(user=bob, by=bob, now=timezone.now())
    bob.delete()

    def is_good() -> bool:
        return nobody_api.post("/api/auth/validate-key", {"apiKey": made.plain}).json()["valid"]

    assert is_good()
    rotated = alice_api.post(f"/api/keys/{made.row.pk}/rotate").json()["data"]
    assert (rotated["expiresAt"], is_good()) == (None, True)
    for key_id in (made.row.pk, rotated["id"]):
        assert alice_api.request("DELETE", f"/api/keys/{key_id}").status_code == 200
    assert not is_good()
    assert AuditEvent.objects.filter(action="worker_key.revoked").count() == 2


def test_who_manages_it_no_longer_ends_none(shared, alice, alice_api):
    made = api_keys.make_for_worker(
        by=alice, slug="acme", wanted=api_keys.WantedKey(name="worker-1"), now=timezone.now()
    )
    Membership.objects.filter(user=alice, organization=shared).update(role="member")
    assert alice_api.request("DELETE", f"/api/keys/{made.row.pk}").status_code == 404
