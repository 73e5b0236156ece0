"""POST /api/auth/validate-key: whose key it is, for services beside this server."""

import pytest
from django.utils import timezone

from accounts import key_format
from accounts.models import APIKey, Organization
from tests.accounts.keys import NO_GOOD, NO_GOOD_OF_PEOPLE, configure, mistyped, of_worker, personal
from tests.conftest import token_of

pytestmark = pytest.mark.django_db
PATH = "/api/auth/validate-key"
NOT_GOOD = {"valid": False, "error": "This API key is not valid."}


def ask(api, key):
    answer = api.post(PATH, {"apiKey": key})
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    return answer.json()


def test_a_personal_key_is_its_persons(alice, nobody_api):
    made = personal(alice, scopes=frozenset({"connections:use", "tools:use", "connections:read"}))
    organization = str(alice.personal_organization.pk)
    assert ask(nobody_api, made.plain) == {
        "valid": True,
        "userId": str(alice.pk),
        "orgSlug": "alice",
        "tenantSlug": "alice",
        "orgId": organization,
        "principalType": "User",
        "principalId": str(alice.pk),
        "role": "owner",
        "permissions": {"connections": ["read", "use"], "tools": ["use"]},
        "keyId": str(made.row.pk),
        "name": "CI",
        "expiresAt": made.row.expires_at.isoformat(),
    }


def test_a_key_without_scopes_has_all_permissions(alice, nobody_api):
    told = ask(nobody_api, personal(alice).plain)
    assert told["permissions"]["workspaces"] == ["read", "write"]
    assert len(told["permissions"]) == 5


def test_a_worker_key_is_its_organizations(alice, nobody_api):
    made = of_worker(alice)
    assert ask(nobody_api, made.plain) == {
        "valid": True,
        "userId": None,
        "orgSlug": "alice",
        "tenantSlug": "alice",
        "orgId": str(alice.personal_organization.pk),
        "principalType": "Worker",
        "principalId": str(made.row.pk),
        "role": "worker",
        "permissions": {},
        "keyId": str(made.row.pk),
        "name": "worker-1",
        "expiresAt": None,
    }


def test_a_static_key_is_its_services(alice, nobody_api, settings):
    told = ask(nobody_api, configure(settings, alice.personal_organization, role="ADMIN"))
    assert (told["valid"], told["principalType"], told["role"], told["name"]) == (True, "Service", "admin", "billing")
    assert (told["userId"], told["orgSlug"], told["expiresAt"]) == (None, "alice", None)


@pytest.mark.parametrize("state", NO_GOOD_OF_PEOPLE)
def test_a_personal_key_that_is_no_good_is_not_told_apart(alice, nobody_api, state):
    assert ask(nobody_api, NO_GOOD_OF_PEOPLE[state](personal(alice).plain, alice)) == NOT_GOOD


@pytest.mark.parametrize("state", NO_GOOD)
def test_a_worker_key_that_is_no_good_is_not_told_apart(alice, nobody_api, state):
    assert ask(nobody_api, NO_GOOD[state](of_worker(alice).plain, alice)) == NOT_GOOD


def test_a_static_key_of_a_suspended_organization_is_not_told_apart(alice, nobody_api, settings):
    key = configure(settings, alice.personal_organization)
    Organization.objects.update(suspended_at=timezone.now())
    assert ask(nobody_api, key) == NOT_GOOD


def test_other_credentials_are_no_keys(alice, nobody_api):
    for other in (token_of(alice), "x", " ", "a.b.c", "ü", "0" * 512):
        answer = nobody_api.post(PATH, {"apiKey": other})
        assert (answer.status_code, answer.json()) in ((200, NOT_GOOD), (400, answer.json()))


@pytest.mark.parametrize("state", ["unknown", "revoked", "expired", "suspended", "waiting", "left", "elsewhere"])
def test_whatever_is_wrong_costs_one_query(alice, nobody_api, state, django_assert_num_queries):
    key = NO_GOOD_OF_PEOPLE[state](personal(alice).plain, alice)
    with django_assert_num_queries(1):
        assert ask(nobody_api, key) == NOT_GOOD


def test_a_good_one_costs_two_queries_and_a_typing_error_none(alice, nobody_api, django_assert_num_queries):
    key = personal(alice).plain
    with django_assert_num_queries(2):
        assert ask(nobody_api, key)["valid"]
    with django_assert_num_queries(1):
        assert ask(nobody_api, key)["valid"]
    with django_assert_num_queries(0):
        assert ask(nobody_api, mistyped(key)) == NOT_GOOD
    assert APIKey.objects.get().last_used_address == "127.0.0.1"


@pytest.mark.parametrize(
    "body", [{}, {"apiKey": None}, {"apiKey": 7}, {"apiKey": ""}, {"apiKey": "0" * 513}, {"key": "x"}]
)
def test_a_malformed_body_is_told_so(nobody_api, body):
    answer = nobody_api.post(PATH, body)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])


def test_it_answers_so_often_a_minute_to_one_address(alice, nobody_api, settings):
    settings.VALIDATE_KEY_PER_MINUTE = 2
    key = personal(alice).plain
    assert [ask(nobody_api, one)["valid"] for one in (key, key_format.new(key_format.WORKER))] == [True, False]
    answer = nobody_api.post(PATH, {"apiKey": key})
    assert (answer.status_code, "Retry-After" in answer.headers) == (429, True)


def test_the_callers_own_credential_counts_for_nothing(alice, bob_api):
    assert ask(bob_api, personal(alice).plain)["userId"] == str(alice.pk)
