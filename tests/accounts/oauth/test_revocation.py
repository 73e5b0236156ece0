"""POST /oauth/revoke: the whole login ends, whichever of its tokens is brought."""

import pytest
from django.utils import timezone

from accounts.bearer import InvalidToken
from accounts.models import Login
from accounts.oauth import access_tokens
from tests.accounts.oauth.flows import make_client

pytestmark = pytest.mark.django_db


def is_over(body):
    try:
        access_tokens.principal_of_jwt(body["access_token"], now=timezone.now())
    except InvalidToken:
        return True
    return False


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_either_token_ends_the_login(flow, signed_in, which):
    answer = flow.form("/oauth/revoke", token=signed_in[which])
    assert (answer.status_code, answer.content) == (200, b"")
    assert is_over(signed_in)
    assert flow.refresh(signed_in["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_token_that_was_replaced_ends_it_as_well(flow, signed_in):
    flow.refresh(signed_in["refresh_token"])
    flow.form("/oauth/revoke", token=signed_in["refresh_token"])
    assert is_over(signed_in)


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_another_client_ends_nothing_and_hears_nothing(flow, signed_in, which):
    make_client(client_id="other")
    answer = flow.form("/oauth/revoke", token=signed_in[which], client_id="other")
    assert answer.status_code == 200
    assert not is_over(signed_in)


def test_unknown_tokens_and_hints_are_fine(flow, notes):
    for fields in ({"token": "unknown"}, {"token": "a.b.c"}, {"token": "x", "token_type_hint": "access_token"}):
        assert flow.form("/oauth/revoke", **fields).status_code == 200
    assert flow.form("/oauth/revoke").status_code == 400


def test_an_unknown_client_is_refused(flow, signed_in):
    assert flow.form("/oauth/revoke", token=signed_in["access_token"], client_id="unknown").status_code == 401
    assert Login.objects.get().revoked_at is None
