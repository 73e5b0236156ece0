"""What somebody of the trusted application's gets of the API, and what is said to them when they get nothing."""

import pytest
from django.utils import timezone

from accounts.models import IssuerOrganization, Membership, Organization, User
from accounts.services import users
from config.config_sections import HTTPEndpoints
from tests.accounts.issuer import PERSONAL, WORKER, answer
from tests.conftest import APIClient, token_of

pytestmark = pytest.mark.django_db
LIST = "/api/cloud-dev/list"


def get(credential, path=LIST):
    return APIClient(credential).get(path)


def told(answer):
    return answer.status_code, answer.json()


def test_a_token_and_a_key_get_in(issuer, acme, alice):
    issuer.say()
    for credential in (issuer.token(), PERSONAL):
        assert get(credential).status_code == 200
    assert get(token_of(alice)).status_code == 200, "this server's own people, too"


def test_an_unknown_organization_is_told_by_its_word(issuer):
    issuer.say()
    for credential in (issuer.token(), PERSONAL):
        assert told(get(credential)) == (
            403,
            {"error": "unknown_organization", "message": "Unknown organization: acme"},
        )


def test_a_bad_token_is_401_and_names_no_organization(issuer):
    found = get(issuer.token(aud="other"))
    assert told(found) == (401, {"error": "This token is not valid or has expired. Sign in again where you got it."})
    assert "invalid_token" in found["WWW-Authenticate"]


def test_a_bad_key_is_401(issuer, acme):
    assert told(get(PERSONAL)) == (401, {"error": "Invalid credentials: this API key is not valid or has expired."})


def test_an_issuer_that_is_away_is_503_with_a_time(issuer, acme):
    issuer.jwks = lambda handler: answer(handler, {}, status=500)
    issuer.status = 500
    for credential in (issuer.token(), PERSONAL):
        found = get(credential)
        assert (found.status_code, found["Retry-After"]) == (503, "10")


def test_a_workers_key_opens_nothing_that_is_a_persons(issuer, acme):
    issuer.said = {"valid": True, "orgSlug": "acme", "keyId": "k"}
    assert get(WORKER).status_code == 403


def test_narrowed_credentials_do_no_more_than_they_say(issuer, acme):
    issuer.say(permissions={"connections": ["read"]})
    for credential in (issuer.token(scope="connections:read"), PERSONAL):
        assert get(credential).status_code == 403


def test_they_make_no_keys_that_outlive_their_tokens(issuer, acme):
    issuer.say()
    for credential in (issuer.token(org={"slug": "acme", "role": "owner"}), PERSONAL):
        assert APIClient(credential).post("/api/keys", {"name": "mine"}).status_code == 403


def test_a_suspended_person_and_a_suspended_organization_are_refused(issuer, acme):
    issuer.say()
    assert get(issuer.token()).status_code == 200
    users.suspend(user=User.objects.get(), by=None)
    for credential in (issuer.token(), PERSONAL):
        assert get(credential).status_code == 403
    users.restore(user=User.objects.get(), by=None)
    assert get(PERSONAL).status_code == 200
    Organization.objects.update(suspended_at=timezone.now())
    for credential in (issuer.token(), PERSONAL):
        assert get(credential).status_code == 403


@pytest.mark.parametrize(
    ("left", "statuses"),
    [
        (("better_auth_jwt",), (200, 401)),
        (("better_auth_api_key",), (401, 200)),
        (("static_api_key",), (401, 401)),
        (("better_auth_jwt", "better_auth_api_key"), (200, 200)),
    ],
)
def test_the_file_says_what_the_api_takes(issuer, acme, alice, settings, left, statuses):
    issuer.say()
    settings.HTTP_ENDPOINTS = HTTPEndpoints(authenticators=left)
    assert (get(issuer.token()).status_code, get(PERSONAL).status_code) == statuses
    assert get(token_of(alice)).status_code == 200


def test_public_questions_about_keys_are_not_passed_on(issuer, acme, nobody_api):
    issuer.say()
    assert nobody_api.post("/api/auth/validate-key", {"apiKey": PERSONAL}).json()["valid"] is False
    assert issuer.asked == []


def test_known_people_cost_one_query_and_what_the_route_needs(issuer, acme, django_assert_num_queries):
    token = issuer.token()
    get(token)
    own = 2
    with django_assert_num_queries(own):
        get(token)


def make(credential, slug="new"):
    return APIClient(credential).post("/api/orgs", {"name": "New", "slug": slug}).status_code


@pytest.mark.parametrize("role", ["member", "owner"])
@pytest.mark.parametrize("auto_create", [False, True])
def test_the_issuers_people_take_no_other_tenants_slug(issuer, acme, settings, auto_create, role):
    settings.ORGS_AUTO_CREATE = auto_create
    answer = APIClient(issuer.token(org={"slug": "acme", "role": role})).post(
        "/api/orgs", {"name": "New", "slug": "new"}
    )
    sentence = "Make the organization in the application that you sign in to, and not here."
    assert told(answer) == (403, {"error": sentence})
    issuer.say()
    assert make(PERSONAL) == 403
    assert not Organization.objects.filter(slug="new").exists()
    assert not Membership.objects.filter(organization__personal_for=None).exists()


def test_an_organization_that_a_superuser_makes_takes_the_issuers_tokens(issuer, acme, alice):
    assert make(token_of(alice), "alices") == 201
    unknown = {"error": "unknown_organization", "message": "Unknown organization: alices"}
    assert told(get(issuer.token(org={"slug": "alices", "role": "member"}))) == (403, unknown)
    User.objects.filter(pk=alice.pk).update(is_superuser=True)
    assert make(token_of(alice), "new") == 201
    assert get(issuer.token(org={"slug": "new", "role": "member"})).status_code == 200


def test_without_a_trusted_issuer_no_organization_is_anybodys_else(alice, settings):
    assert settings.TRUSTED_TOKENS is None
    User.objects.filter(pk=alice.pk).update(is_superuser=True)
    assert make(token_of(alice)) == 201
    assert not IssuerOrganization.objects.exists()
