"""GET and POST /oauth/userinfo: who signed in, as far as the scopes go."""

import pytest
from django.utils import timezone

from accounts.models import Login
from tests.conftest import APIClient, token_of

pytestmark = pytest.mark.django_db
PATH = "/oauth/userinfo"


def test_it_tells_what_the_scopes_let_it(signed_in, alice):
    api = APIClient(signed_in["access_token"])
    told = {
        "sub": str(alice.pk),
        "name": "Alice",
        "preferred_username": "alice",
        "email": "alice@example.com",
        "email_verified": False,
    }
    assert (api.get(PATH).status_code, api.get(PATH).json()) == (200, told)
    assert api.post(PATH).json() == told


def test_without_the_scopes_it_tells_less(flow, alices, alice):
    flow.scope = "openid"
    assert APIClient(flow.sign_in(alices)["access_token"]).get(PATH).json() == {"sub": str(alice.pk)}
    flow.scope = "connections:read"
    assert APIClient(flow.sign_in(alices, prompt="consent")["access_token"]).get(PATH).status_code == 403


def test_other_tokens_are_refused(signed_in, alice):
    Login.objects.update(revoked_at=timezone.now())
    for token in (signed_in["id_token"], signed_in["refresh_token"], token_of(alice), "", signed_in["access_token"]):
        answer = APIClient(token).get(PATH)
        assert answer.status_code == 401
        assert "resource_metadata=" in answer["WWW-Authenticate"]
