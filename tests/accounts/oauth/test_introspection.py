"""POST /oauth/introspect: what services are told that an operator has set up; others hear nothing."""

import pytest
from django.utils import timezone

from accounts.models import Login
from tests.accounts.oauth.flows import Flow, claims_of, make_client

pytestmark = pytest.mark.django_db
SECRET = "visibly-fake-client-secret"


@pytest.fixture
def service():
    make_client(client_id="service", client_type="confidential", client_secret=SECRET)
    return Flow(client_id="service", secret=SECRET)


def told(service, token):
    answer = service.form("/oauth/introspect", token=token)
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    return answer.json()


def test_a_token_is_described(service, signed_in, alice, flow):
    claims = claims_of(signed_in["access_token"])
    assert told(service, signed_in["access_token"]) == {
        "active": True,
        "iss": "http://testserver",
        "sub": str(alice.pk),
        "username": "alice",
        "scope": "connections:read",
        "principal_type": "user",
        "token_type": "Bearer",
        **{name: claims[name] for name in ("aud", "exp", "iat", "jti", "sid", "client_id", "org")},
    }


def test_what_is_over_or_never_was_is_inactive(service, signed_in):
    assert told(service, signed_in["refresh_token"]) == {"active": False}
    assert told(service, signed_in["id_token"]) == {"active": False}
    assert told(service, "unknown") == {"active": False}
    Login.objects.update(revoked_at=timezone.now())
    assert told(service, signed_in["access_token"]) == {"active": False}


def test_nobody_else_may_ask(service, signed_in, flow):
    make_client(client_id="found", client_type="confidential", client_secret=SECRET, is_verified=False)
    askers = [flow, Flow(client_id="service", secret="wrong"), Flow(client_id="found", secret=SECRET), Flow("unknown")]
    for asker in askers:
        answer = asker.form("/oauth/introspect", token=signed_in["access_token"])
        assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"})
        assert answer.has_header("WWW-Authenticate")


def test_a_token_has_to_be_brought(service):
    assert service.form("/oauth/introspect").status_code == 400
