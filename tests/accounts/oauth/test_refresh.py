"""Refresh tokens: one successor each, whoever asks at once; a replay ends the login."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from accounts.bearer import InvalidToken
from accounts.models import AuditEvent, Login, Membership, Organization, RefreshToken, User
from accounts.oauth import access_tokens, refresh
from tests.accounts.oauth.flows import claims_of, make_client

pytestmark = pytest.mark.django_db
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


def at(span):
    return time_machine.travel(timezone.now() + span, tick=False)


def refused(answer):
    return (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_it_gives_a_new_pair(flow, signed_in):
    answer = flow.refresh(signed_in["refresh_token"])
    body = answer.json()
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    assert body["refresh_token"] != signed_in["refresh_token"]
    assert claims_of(body["access_token"])["sid"] == claims_of(signed_in["access_token"])["sid"]
    assert body["scope"] == flow.scope
    assert "id_token" in body


def test_again_within_the_grace_time_it_gives_the_same_successor(flow, signed_in):
    first = flow.refresh(signed_in["refresh_token"]).json()
    with at(29 * SECOND):
        again = flow.refresh(signed_in["refresh_token"]).json()
    assert again["refresh_token"] == first["refresh_token"]
    assert again["access_token"] != first["access_token"]
    assert RefreshToken.objects.count() == 2


def test_two_generations_back_within_the_grace_time_is_still_one_chain(flow, signed_in):
    second = flow.refresh(signed_in["refresh_token"]).json()["refresh_token"]
    third = flow.refresh(second).json()["refresh_token"]
    assert flow.refresh(signed_in["refresh_token"]).json()["refresh_token"] == second
    assert flow.refresh(second).json()["refresh_token"] == third
    assert RefreshToken.objects.count() == 3


def test_a_replay_after_that_ends_the_login(flow, signed_in):
    after = flow.refresh(signed_in["refresh_token"]).json()
    with at(31 * SECOND):
        assert refused(flow.refresh(signed_in["refresh_token"]))
        assert refused(flow.refresh(after["refresh_token"]))
        with pytest.raises(InvalidToken):
            access_tokens.principal_of_jwt(after["access_token"], now=timezone.now())
    event = AuditEvent.objects.get(action="login.ended")
    assert event.details == {"why": "an old refresh token was used"}


def test_another_clients_replay_ends_nothing(flow, signed_in):
    make_client(client_id="other")
    after = flow.refresh(signed_in["refresh_token"]).json()
    with at(31 * SECOND):
        assert refused(flow.refresh(signed_in["refresh_token"], client_id="other"))
        assert flow.refresh(after["refresh_token"]).status_code == 200


def test_it_expires_when_it_is_not_used(flow, signed_in):
    with at(30 * DAY):
        assert refused(flow.refresh(signed_in["refresh_token"]))


def test_the_login_ends_however_much_it_is_used(flow, signed_in):
    token = signed_in["refresh_token"]
    for days in (29, 58, 87):
        with at(days * DAY):
            token = flow.refresh(token).json()["refresh_token"]
    assert RefreshToken.objects.order_by("-created_at", "-pk").first().expires_at == Login.objects.get().ends_at
    with at(90 * DAY):
        assert refused(flow.refresh(token))


@pytest.mark.parametrize(
    "change",
    [
        lambda: User.objects.update(is_active=False),
        lambda: Membership.objects.all().delete(),
        lambda: Organization.objects.update(suspended_at=timezone.now()),
        lambda: Login.objects.update(revoked_at=timezone.now()),
    ],
)
def test_it_ends_with_what_it_stands_on(flow, signed_in, change):
    change()
    assert refused(flow.refresh(signed_in["refresh_token"]))


def test_it_can_be_narrowed_and_not_widened(flow, signed_in):
    narrow = flow.refresh(signed_in["refresh_token"], scope="openid").json()
    assert claims_of(narrow["access_token"])["scope"] == "openid"
    wide = flow.refresh(narrow["refresh_token"], scope="openid connections:use")
    assert (wide.status_code, wide.json()["error"]) == (400, "invalid_scope")
    assert flow.refresh(narrow["refresh_token"]).json()["scope"] == flow.scope


def test_a_key_that_changes_within_the_grace_time_makes_no_second_successor(flow, signed_in, settings):
    first = flow.refresh(signed_in["refresh_token"]).json()["refresh_token"]
    settings.ENCRYPTION_KEYS += ",2:dmlzaWJseS1mYWtlLXNlY3JldC1vZi0zMi1ieXRlcyE="
    assert flow.refresh(signed_in["refresh_token"]).json()["refresh_token"] == first
    assert refresh.successor("another") != refresh.successor("a third")


def test_a_client_that_may_not_refresh_gets_no_token_for_it(flow, alices, notes):
    notes.grant_types = ["authorization_code"]
    notes.save()
    body = flow.sign_in(alices)
    assert "refresh_token" not in body
    assert not RefreshToken.objects.exists()


def test_rubbish_is_refused(flow, notes):
    for token in ("", "x", "ey" * 400, "é"):
        answer = flow.refresh(token)
        assert answer.status_code == 400
        assert answer.json()["error"] in {"invalid_grant", "invalid_request"}


def test_its_queries_are_counted(flow, signed_in, django_assert_max_num_queries):
    with django_assert_max_num_queries(20):
        flow.refresh(signed_in["refresh_token"])
