"""GET and POST /api/auth/verify: whom a proxy lets through to a service beside this server, and as whom."""

import uuid
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from accounts import bearer, key_bearer
from accounts.models import AccessToken, Login, Organization
from accounts.oauth import access_tokens
from accounts.services import forward_auth
from tests.accounts.issuer import PERSONAL
from tests.accounts.keys import (
    NO_GOOD,
    NO_GOOD_OF_PEOPLE,
    UNAUTHENTICATED,
    asked_from,
    configure,
    mistyped,
    of_worker,
    personal,
)
from tests.conftest import APIClient, token_of
from tests.operators import browser_of

pytestmark = pytest.mark.django_db
PATH = "/api/auth/verify"
NAMES = ("X-Auth-Subject", "X-Auth-Org", "X-Auth-Role", "X-Auth-Type")
CLAIMED = dict.fromkeys(NAMES, "00000000-0000-4000-8000-00000000bbbb")


def verify(credential, query="", headers=None):
    return APIClient(credential).get(f"{PATH}{query}", headers=headers)


def told(answer):
    """What the proxy is told, after a look at whether headers and body say the same."""
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store"), answer.content
    said = answer.json()["data"]
    headers = tuple(answer[name] for name in NAMES)
    assert headers == (said["subject"], said["org"], said["role"], said["type"])
    return headers


def jwt_of(person, **options):
    now = timezone.now()
    login = Login.objects.create(
        user=person, organization=person.personal_organization, created_at=now, ends_at=now + timedelta(days=1)
    )
    return access_tokens.issue(login=login, role="owner", now=now, **options)


def test_a_person_is_told_by_id_whatever_they_prove_it_with(alice):
    expected = (str(alice.pk), str(alice.personal_organization.pk), "owner", "user")
    for credential in (token_of(alice), personal(alice).plain, jwt_of(alice)):
        assert told(verify(credential)) == expected
    assert verify(token_of(alice)).json()["data"]["org_slug"] == "alice"


def test_a_worker_and_a_service_are_told_as_such(alice, settings):
    organization = str(alice.personal_organization.pk)
    made = of_worker(alice)
    assert told(verify(made.plain)) == (str(made.row.pk), organization, "worker", "worker")
    key = configure(settings, alice.personal_organization, role="ADMIN")
    subject, *others = told(verify(key))
    assert (uuid.UUID(subject) != alice.pk, others) == (True, [organization, "admin", "service"])


def test_a_trusted_issuers_people_are_let_in(issuer, acme):
    issuer.say()
    by_token, by_key = (told(verify(credential)) for credential in (issuer.token(), PERSONAL))
    assert {by_token[1], by_key[1]} == {str(acme.pk)}
    assert verify(issuer.token(aud="other")).status_code == 401


def test_by_post_it_is_the_same_whatever_the_body_is(alice):
    client = APIClient(token_of(alice))
    expected = told(client.get(PATH))
    for body in (b"", b"{", b"\xff" * 1000):
        assert told(client.request("POST", PATH, data=body, content_type="application/grpc")) == expected


def test_what_a_client_says_of_itself_counts_for_nothing(alice):
    claimed = CLAIMED | {"X-Forwarded-User": "bob", "X-Original-URL": "/?scope=none", "Remote-User": "bob"}
    assert told(verify(token_of(alice), headers=claimed)) == told(verify(token_of(alice)))
    refused = verify("", headers=claimed)
    assert refused.status_code == 401
    assert not [name for name in refused.headers if name.lower().startswith("x-auth")]


def test_nobody_is_challenged(nobody_api):
    answer = nobody_api.get(PATH)
    assert (answer.status_code, list(answer.json())) == (401, ["error"])
    where = 'resource_metadata="http://testserver/.well-known/oauth-protected-resource/api"'
    assert answer["WWW-Authenticate"] == f'Bearer realm="crayon", {where}'
    assert 'error="invalid_token"' in verify("x")["WWW-Authenticate"]


@pytest.mark.parametrize(
    "header", ["Basic YTpi", "Bearer", "Bearer ", "bearer\t", "Token x", "x", "Bearer a, Bearer b"]
)
def test_what_is_no_bearer_credential_is_401(header):
    answer = APIClient().get(PATH, headers={"Authorization": header})
    assert (answer.status_code, "invalid_token" in answer["WWW-Authenticate"]) == (401, True)


def test_a_browsers_session_is_none(alice):
    assert browser_of(alice).get(PATH).status_code == 401


@pytest.mark.parametrize("state", NO_GOOD_OF_PEOPLE)
def test_a_personal_key_that_is_no_good_is_refused(alice, state):
    answer = verify(NO_GOOD_OF_PEOPLE[state](personal(alice).plain, alice))
    assert answer.status_code == (401 if state in UNAUTHENTICATED else 403)
    assert not answer.has_header("X-Auth-Subject")


@pytest.mark.parametrize("state", NO_GOOD)
def test_a_workers_key_that_is_no_good_is_refused(alice, state):
    assert verify(NO_GOOD[state](of_worker(alice).plain, alice)).status_code == (
        401 if state in UNAUTHENTICATED else 403
    )


def test_access_that_ends_ends_with_the_next_request(alice):
    token = token_of(alice)
    assert verify(token).status_code == 200
    AccessToken.objects.update(revoked_at=timezone.now())
    assert verify(token).status_code == 401


def test_a_token_for_another_service_is_refused(alice):
    assert verify(jwt_of(alice, audience=["https://other.example.com"])).status_code == 401


def test_a_scope_that_is_demanded_must_be_there(alice):
    key = personal(alice, scopes=frozenset({"tools:use", "connections:read"})).plain
    assert verify(key, "?scope=tools:use").status_code == 200
    assert verify(key, "?scope=tools:use%20connections:read").status_code == 200
    answer = verify(key, "?scope=tools:use%20deployments:write")
    assert (answer.status_code, "deployments:write" in answer.json()["error"]) == (403, True)
    assert 'error="insufficient_scope", scope="deployments:write"' in answer["WWW-Authenticate"]
    assert verify(token_of(alice), "?scope=deployments:write").status_code == 200, "nothing narrows it"
    assert verify(of_worker(alice).plain, "?scope=tools:use").status_code == 403


def test_the_organization_that_is_demanded_must_be_the_credentials(alice, bob):
    own, other = alice.personal_organization, bob.personal_organization
    token = token_of(alice)
    for name in (own.slug, own.pk, str(own.pk).upper()):
        assert verify(token, f"?org={name}").status_code == 200
    answers = [verify(token, f"?org={name}") for name in (other.slug, other.pk, "no-such", uuid.uuid4(), "ALICE")]
    assert {answer.status_code for answer in answers} == {403}
    assert len({answer.content for answer in answers}) == 1


def test_a_slug_that_looks_like_an_id_is_not_that_organization(alice, bob):
    Organization.objects.filter(pk=alice.personal_organization.pk).update(slug=str(bob.personal_organization.pk))
    assert verify(token_of(alice), f"?org={bob.personal_organization.pk}").status_code == 403


@pytest.mark.parametrize(
    "query",
    ["?scope=", "?org=", "?org=%20", "?scope=all", "?scope=tools:use,orgs:read", "?scopes=tools:use", "?org=a&org=b"],
)
def test_a_demand_that_is_misspelt_lets_nobody_in(alice, query):
    for credential in (token_of(alice), ""):
        assert verify(credential, query).status_code == 400


def test_it_costs_one_query_and_one_more_a_minute(alice, django_assert_num_queries):
    for credential in (token_of(alice), personal(alice).plain, of_worker(alice).plain):
        with django_assert_num_queries(2):
            assert verify(credential).status_code == 200
        with django_assert_num_queries(1):
            assert verify(credential, "?scope=tools:use&org=alice").status_code in (200, 403)
    wrong = mistyped(personal(alice).plain)
    with django_assert_num_queries(0):
        assert verify(wrong).status_code == 401


@pytest.mark.parametrize("module", [bearer, key_bearer])
def test_when_it_can_not_be_told_nobody_is_let_in(alice, monkeypatch, module):
    credential = token_of(alice) if module is bearer else personal(alice).plain

    def gone(*_args):
        raise OperationalError("gone")

    monkeypatch.setattr(module, "fetch_row", gone)
    assert verify(credential).status_code == 503


def test_a_keys_networks_are_asked_of_the_client_that_the_proxy_names(alice, settings):
    settings.TRUSTED_PROXY_COUNT = 1
    key = personal(alice, networks=("192.0.2.0/24",)).plain
    assert verify(key, headers={"X-Forwarded-For": "192.0.2.7"}).status_code == 200
    assert verify(key, headers={"X-Forwarded-For": "192.0.2.7, 198.51.100.1"}).status_code == 403
    assert asked_from("192.0.2.7", PATH, key).status_code == 200


def test_the_decision_is_the_same_without_a_request(alice):
    """Whatever asks it: headers and statuses are the decision's own."""
    now, key = timezone.now(), personal(alice, networks=("192.0.2.0/24",)).plain
    asked = {"authorization": f"bearer {key}", "now": now}
    let_in = forward_auth.decide(address="192.0.2.7", **asked)
    assert (let_in.status, tuple(let_in.headers)) == (200, NAMES)
    turned_away = forward_auth.decide(address="198.51.100.1", **asked)
    assert (turned_away.status, turned_away.headers, turned_away.principal) == (403, {}, None)
    nobody = forward_auth.decide(authorization="", address="192.0.2.7", now=now)
    assert (nobody.status, nobody.headers) == (401, {})


def test_other_methods_are_refused(alice_api):
    answer = alice_api.request("DELETE", PATH)
    assert (answer.status_code, sorted(answer["Allow"].split(", "))[:1]) == (405, ["GET"])
