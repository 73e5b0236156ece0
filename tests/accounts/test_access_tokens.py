"""Bearer tokens: who is let in with one, and what its use leaves behind."""

from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from accounts import bearer
from accounts.bearer import caller_of
from accounts.models import AccessToken, Membership
from accounts.oauth import metadata
from accounts.services import tokens, users
from core.crypto import digest
from tests.accounts.threads import at_once
from tests.conftest import APIClient, token_of

pytestmark = pytest.mark.django_db
PATH = "/api/auth/logout"
MISSING = {"error": "Sign in first: send an access token as `Authorization: Bearer <token>`."}
INVALID = {"error": "This access token is not valid or has expired. Run `crayon logout`, then `crayon login`."}
CHALLENGE, CHALLENGE_AFTER_A_TOKEN = metadata.challenge(), metadata.challenge(invalid=True)


def at(moment):
    return time_machine.travel(moment, tick=False)


def send(header):
    return Client(raise_request_exception=False).post(
        PATH, content_type="application/json", headers={"Authorization": header}
    )


def test_a_request_without_a_token_is_challenged(nobody_api):
    answer = nobody_api.post(PATH)
    assert (answer.status_code, answer.json(), answer["WWW-Authenticate"]) == (401, MISSING, CHALLENGE)
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer  ",
        "Basic YWxpY2U6eA==",
        "Token abc",
        "abc",
        "Bearer\tabc",
        "Bearerabc",
        ",",
        "\xff",
    ],
)
def test_a_malformed_header_is_challenged(header):
    answer = send(header)
    assert (answer.status_code, answer.json()) == (401, MISSING)
    assert answer["WWW-Authenticate"] == CHALLENGE_AFTER_A_TOKEN


@pytest.mark.parametrize("token", ["0" * 64, "x", "a b", "ü", "'; --", "0" * 600, "0" * 60_000, "\x00", "%00"])
def test_an_unknown_token_is_refused(token):
    answer = send(f"Bearer {token}")
    assert (answer.status_code, answer.json()) == (401, INVALID)
    assert answer["WWW-Authenticate"] == CHALLENGE_AFTER_A_TOKEN


def test_what_is_stored_is_no_token(alice):
    token = token_of(alice)
    assert bytes(AccessToken.objects.get().digest) == digest(token)
    for stored in (digest(token).hex(), token.upper(), str(AccessToken.objects.get().pk)):
        assert send(f"Bearer {stored}").status_code == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
@pytest.mark.parametrize("space", ["", " "])
def test_the_schemes_name_may_be_in_any_case(alice, scheme, space):
    assert send(f"{scheme} {space}{token_of(alice)}{space}").status_code == 200


def test_a_token_in_the_address_or_the_body_counts_for_nothing(alice):
    token = token_of(alice)
    answer = Client().post(f"{PATH}?access_token={token}&token={token}", {"access_token": token})
    assert (answer.status_code, answer.json()) == (401, MISSING)


def test_a_browser_session_is_no_token(alice, browser_of):
    answer = browser_of(alice).client.post(PATH)
    assert (answer.status_code, answer.json()) == (401, MISSING)


def test_an_expired_token_is_refused(alice):
    api = APIClient(token_of(alice))
    expires_at = AccessToken.objects.get().expires_at
    with at(expires_at):
        answer = api.post(PATH)
    assert (answer.status_code, answer.json()) == (401, INVALID)
    assert AccessToken.objects.get().revoked_at is None
    with at(expires_at - timedelta(seconds=1)):
        assert api.post(PATH).status_code == 200


def test_a_revoked_token_is_refused_with_the_very_next_request(alice, alice_api):
    assert caller_of(alice_api.token, now=timezone.now()).id == alice.pk
    tokens.revoke(token_id=AccessToken.objects.get().pk, user_id=alice.pk, by=alice, now=timezone.now())
    answer = alice_api.post(PATH)
    assert (answer.status_code, answer.json()) == (401, INVALID)


def test_unknown_expired_and_revoked_are_not_told_apart(alice):
    expired, revoked = APIClient(token_of(alice)), APIClient(token_of(alice))
    AccessToken.objects.filter(digest=digest(expired.token)).update(expires_at=timezone.now())
    AccessToken.objects.filter(digest=digest(revoked.token)).update(revoked_at=timezone.now())
    answers = [api.post(PATH) for api in (expired, revoked, APIClient("0" * 64))]
    assert len({(answer.status_code, answer.content, answer["WWW-Authenticate"]) for answer in answers}) == 1


def test_a_token_of_a_suspended_organization_is_refused(alice, alice_api):
    organization = alice.personal_organization
    organization.suspended_at = timezone.now()
    organization.save()
    assert alice_api.post(PATH).status_code == 403


def test_a_token_of_an_organization_one_has_left_is_refused(alice, alice_api):
    Membership.objects.filter(user=alice).delete()
    answer = alice_api.post(PATH)
    sentence = "You are no longer a member of this token's organization. Run `crayon logout`, then `crayon login`."
    assert (answer.status_code, answer.json()) == (403, {"error": sentence})


def test_a_token_says_who_calls_in_which_organization(alice):
    caller = caller_of(token_of(alice), now=timezone.now())
    assert (caller.id, caller.name, caller.login, caller.email) == (alice.pk, "Alice", "alice", "alice@example.com")
    organization = alice.personal_organization
    assert (caller.organization_id, caller.role) == (organization.pk, "owner")
    assert caller.credential_id == AccessToken.objects.get().pk


def test_a_request_asks_the_database_once(alice, django_assert_num_queries):
    token, now = token_of(alice), timezone.now()
    with django_assert_num_queries(2):
        caller_of(token, now=now)
    with django_assert_num_queries(1):
        caller_of(token, now=now + timedelta(seconds=59))
    with django_assert_num_queries(1):
        assert APIClient("0" * 64).post(PATH).status_code == 401
    with django_assert_num_queries(0):
        assert APIClient().post(PATH).status_code == 401


def test_its_last_use_is_noted_at_most_once_a_minute(alice):
    token, first = token_of(alice), timezone.now()
    assert AccessToken.objects.get().last_used_at is None
    for seconds, noted in ((0, 0), (1, 0), (59, 0), (60, 60), (119, 60), (120, 120)):
        caller_of(token, now=first + timedelta(seconds=seconds))
        assert AccessToken.objects.get().last_used_at == first + timedelta(seconds=noted)


def test_every_noted_use_moves_the_expiry_along(alice, settings):
    token, now = token_of(alice), timezone.now()
    for _ in range(4):
        now += timedelta(days=settings.ACCESS_TOKEN_DAYS - 1)
        caller_of(token, now=now)
        assert AccessToken.objects.get().expires_at == now + timedelta(days=settings.ACCESS_TOKEN_DAYS)


def test_a_use_that_another_has_overtaken_is_not_noted(alice):
    # Both requests have read the row before either of them writes.
    token_of(alice)
    row, now = AccessToken.objects.get(), timezone.now()
    bearer._note_use(row.pk, now)
    bearer._note_use(row.pk, now + timedelta(seconds=1))
    assert AccessToken.objects.get().last_used_at == now


def test_a_use_that_a_revocation_has_overtaken_is_not_noted(alice):
    token_of(alice)
    row, now = AccessToken.objects.get(), timezone.now()
    tokens.revoke(token_id=row.pk, user_id=alice.pk, by=alice, now=now)
    bearer._note_use(row.pk, now)
    after = AccessToken.objects.get()
    assert (after.last_used_at, after.expires_at) == (None, row.expires_at)


def test_a_refused_use_is_not_noted(alice):
    token = token_of(alice)
    users.suspend(user=alice, by=None)
    assert APIClient(token).post(PATH).status_code == 403
    assert AccessToken.objects.get().last_used_at is None


@pytest.mark.django_db(transaction=True)
def test_of_many_uses_at_once_one_is_noted(alice):
    token, now = token_of(alice), timezone.now()
    moments = [now + timedelta(milliseconds=number) for number in range(16)]
    let_in = at_once(*[lambda moment=moment: caller_of(token, now=moment).id for moment in moments])
    assert let_in == [alice.pk] * 16
    row = AccessToken.objects.get()
    assert row.last_used_at in moments
    assert row.expires_at == row.last_used_at + timedelta(days=90)


@pytest.mark.django_db(transaction=True)
def test_a_use_never_brings_a_revoked_token_back(alice):
    token = token_of(alice)
    row = AccessToken.objects.get()

    def use():
        try:
            caller_of(token, now=timezone.now())
        except Exception as error:  # noqa: BLE001 - refused is as good as let in; the row is what counts
            return type(error).__name__
        return "let in"

    def revoke():
        tokens.revoke(token_id=row.pk, user_id=alice.pk, by=alice, now=timezone.now())
        return "revoked"

    outcomes = at_once(use, use, revoke, use)
    assert set(outcomes) <= {"let in", "InvalidToken", "revoked"}
    assert APIClient(token).post(PATH).status_code == 401
