"""GET /api/auth/cli/check: a CLI polls until a person has decided."""

import re
from datetime import timedelta
from urllib.parse import quote

import pytest
import time_machine
from django.utils import timezone

from accounts.models import AccessToken, AuditEvent, CLILogin
from accounts.services import cli_login, tokens, users
from core.crypto import CannotOpen, derived_keyring, digest, keyring
from tests.accounts.browsing import text_of
from tests.accounts.threads import at_once
from tests.conftest import APIClient

pytestmark = pytest.mark.django_db
PATH = "/api/auth/cli/check"
TOO_MANY = re.compile(r"Too many requests\. Please try again in (1 second|\d+ seconds)\.\Z")


def check(api, code, secret, **options):
    return api.get(PATH, code=code, secret=secret, **options)


def later(**span):
    return time_machine.travel(timezone.now() + timedelta(**span), tick=False)


def test_a_login_nobody_has_decided_is_pending(nobody_api, started, django_assert_num_queries):
    code, secret = started()
    with django_assert_num_queries(1):
        answer = check(nobody_api, code, secret)
    assert (answer.status_code, answer.json()) == (200, {"data": {"status": "pending"}})
    assert answer["Cache-Control"] == "no-store"


def test_an_approved_login_gives_a_token_that_works(nobody_api, approved, alice):
    answer = check(nobody_api, *approved)
    token = answer.json()["data"]["token"]
    assert (answer.status_code, answer.json()) == (200, {"data": {"status": "approved", "token": token}})
    assert answer["Cache-Control"] == "no-store"
    assert (len(token), int(token, 16) > 0) == (64, True)
    row = AccessToken.objects.get()
    assert (row.user, row.label) == (alice, "crayon CLI on laptop")
    assert APIClient(token).post("/api/auth/logout").status_code == 200


def test_the_token_expires_after_the_days_that_are_set(nobody_api, approved, settings):
    settings.ACCESS_TOKEN_DAYS = 7
    check(nobody_api, *approved)
    left = AccessToken.objects.get().expires_at - timezone.now()
    assert timedelta(days=6, hours=23) < left <= timedelta(days=7)


def test_approving_makes_no_token_before_it_is_picked_up(approved):
    assert not AccessToken.objects.exists()


def test_polling_again_gives_the_same_token(nobody_api, approved):
    answers = [check(nobody_api, *approved).json() for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert AccessToken.objects.count() == 1
    assert AuditEvent.objects.filter(action="access_token.issued").count() == 1


def test_head_tells_that_it_would_be_answered_and_uses_no_login_up(nobody_api, approved, started, alice):
    denied = started()
    cli_login.deny(login=CLILogin.objects.get(code=denied[0]), user=alice, now=timezone.now())
    for login in (approved, denied):
        for _ in range(2):
            looked = nobody_api.head(PATH, code=login[0], secret=login[1])
            assert (looked.status_code, looked.content) == (200, b"")
    assert not AccessToken.objects.exists()
    assert not AuditEvent.objects.filter(action="access_token.issued").exists()
    assert check(nobody_api, *denied).json() == {"data": {"status": "denied"}}
    token = check(nobody_api, *approved).json()["data"]["token"]
    assert AccessToken.objects.get().digest == digest(token)


def test_head_guesses_as_seldom_as_get(nobody_api, started):
    code, _ = started()
    statuses = [nobody_api.head(PATH, code=code, secret="0" * 32).status_code for _ in range(11)]
    assert statuses == [403] * 10 + [429]


def test_of_two_people_who_log_in_at_once_each_gets_their_own_token(nobody_api, started, alice, bob):
    logins = [(person, *started()) for person in (alice, bob)]
    for person, code, _secret in logins:
        cli_login.approve(login=CLILogin.objects.get(code=code), user=person, now=timezone.now())
    for _ in range(2):
        for person, code, secret in logins:
            told = check(nobody_api, code, secret).json()["data"]
            assert AccessToken.objects.get(digest=digest(told["token"])).user == person


def test_a_denied_login_says_so(nobody_api, started, alice):
    code, secret = started()
    cli_login.deny(login=CLILogin.objects.get(code=code), user=alice, now=timezone.now())
    answer = check(nobody_api, code, secret)
    assert (answer.status_code, answer.json()) == (200, {"data": {"status": "denied"}})
    assert not AccessToken.objects.exists()


def test_a_denied_login_is_expired_once_the_cli_knows(nobody_api, started, alice, alices):
    code, secret = started()
    cli_login.deny(login=CLILogin.objects.get(code=code), user=alice, now=timezone.now())
    check(nobody_api, code, secret)
    for _ in range(3):
        answer = check(nobody_api, code, secret)
        assert (answer.status_code, answer.json()) == (200, {"data": {"status": "expired"}})
    # The person's page goes on to say what they did.
    assert "denied" in text_of(alices.get("/auth/cli", cli_code=code)).lower()


@pytest.mark.django_db(transaction=True)
def test_of_two_polls_at_once_after_a_denial_one_hears_of_it(nobody_api, started, alice):
    code, secret = started()
    cli_login.deny(login=CLILogin.objects.get(code=code), user=alice, now=timezone.now())
    answers = at_once(*[lambda: check(nobody_api, code, secret).json()["data"]["status"] for _ in range(8)])
    assert sorted(answers) == ["denied"] + ["expired"] * 7


def test_a_wrong_secret_learns_nothing_of_a_denial_and_takes_nothing_from_its_cli(nobody_api, started, alice):
    code, secret = started()
    cli_login.deny(login=CLILogin.objects.get(code=code), user=alice, now=timezone.now())
    assert check(nobody_api, code, "0" * 32).status_code == 403
    assert check(nobody_api, code, secret).json() == {"data": {"status": "denied"}}


@pytest.mark.parametrize("decide", [None, cli_login.approve, cli_login.deny])
def test_after_five_minutes_every_login_is_expired(nobody_api, started, alice, decide):
    code, secret = started()
    if decide:
        decide(login=CLILogin.objects.get(code=code), user=alice, now=timezone.now())
    with later(minutes=5):
        answer = check(nobody_api, code, secret)
    assert (answer.status_code, answer.json()) == (200, {"data": {"status": "expired"}})
    assert not AccessToken.objects.exists()


def test_a_collected_token_is_erased_when_its_login_is_over_and_goes_on_working(nobody_api, approved):
    token = check(nobody_api, *approved).json()["data"]["token"]
    assert CLILogin.objects.get().sealed_token is not None
    with later(minutes=5):
        assert check(nobody_api, *approved).json() == {"data": {"status": "expired"}}
    assert CLILogin.objects.get().sealed_token is None
    assert APIClient(token).post("/api/auth/logout").status_code == 200


def test_an_unknown_code_is_expired(nobody_api):
    answer = check(nobody_api, "00000000", "0" * 32)
    assert (answer.status_code, answer.json()) == (200, {"data": {"status": "expired"}})


def test_a_wrong_secret_is_refused_whatever_the_state(nobody_api, started, approved):
    _, other_secret = started()
    expected = {"error": "The secret does not belong to this code. Start the login again."}
    for secret in ("0" * 32, other_secret, approved[1].upper(), approved[1] + "0"):
        answer = check(nobody_api, approved[0], secret)
        assert (answer.status_code, answer.json()) == (403, expected)
    assert not AccessToken.objects.exists()


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("", "code: This field is required."),
        ("code=0a1b2c3d", "secret: This field is required."),
        ("secret=00", "code: This field is required."),
        ("code=&secret=00", "code: This field may not be blank."),
        ("code=0a1b2c3d&secret=", "secret: This field may not be blank."),
        ("code=0a1b2c3d&code=0a1b2c3d&secret=00", "The parameter code is given more than once."),
        ("code=0a1b2c3d&secret=00&secret=01", "The parameter secret is given more than once."),
        ("code=0%00&secret=00", "code: Null characters are not allowed."),
        ("code=00&secret=0%00", "secret: Null characters are not allowed."),
        ("code=%FF%FE&secret=00", "The address's query is not UTF-8."),
        ("code=00&secret=%ED%A0%80", "The address's query is not UTF-8."),
        ("code=" + "0" * 65 + "&secret=00", "code: Ensure this field has no more than 64 characters."),
        ("code=00&secret=" + "0" * 129, "secret: Ensure this field has no more than 128 characters."),
    ],
)
def test_it_refuses_a_malformed_question_with_a_sentence_that_names_the_parameter(nobody_api, query, sentence):
    answer = nobody_api.request("GET", PATH, QUERY_STRING=query)
    assert (answer.status_code, answer.json()) == (400, {"error": sentence})


@pytest.mark.parametrize("code", ["..%2F..%2F", "'; DROP TABLE x;--", "🖍", "%25", " "])
def test_an_odd_code_is_an_unknown_one(nobody_api, code):
    sent = code if code.startswith(("%", "..")) else quote(f"x{code}")
    answer = nobody_api.request("GET", PATH, QUERY_STRING=f"code={sent}&secret=00")
    assert (answer.status_code, answer.json()) == (200, {"data": {"status": "expired"}})


def test_it_is_read_with_get_only(nobody_api):
    answer = nobody_api.post(PATH, {"code": "0a1b2c3d", "secret": "00"})
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")
    assert answer.json() == {"error": "This method is not possible at this address."}


def test_a_token_that_was_revoked_is_not_given_out_again(nobody_api, approved, alice):
    check(nobody_api, *approved)
    row = AccessToken.objects.get()
    tokens.revoke(token_id=row.pk, user_id=alice.pk, by=alice, now=timezone.now())
    assert check(nobody_api, *approved).json() == {"data": {"status": "expired"}}
    assert AccessToken.objects.count() == 1


def test_signing_out_everywhere_ends_an_approval_that_was_not_picked_up(nobody_api, approved, alice):
    users.revoke_everything(user=alice, by=alice, now=timezone.now())
    answers = [check(nobody_api, *approved).json()["data"] for _ in range(2)]
    assert answers == [{"status": "denied"}, {"status": "expired"}]
    assert not AccessToken.objects.exists()


@pytest.mark.parametrize("collected", [False, True])
def test_a_person_suspended_in_between_gets_nothing(nobody_api, approved, alice, collected):
    if collected:
        check(nobody_api, *approved)
    users.suspend(user=alice, by=None)
    answers = [check(nobody_api, *approved).json()["data"] for _ in range(3)]
    assert answers == [{"status": "denied"}, {"status": "expired"}, {"status": "expired"}]
    assert AccessToken.objects.count() == collected


def test_hasty_polling_has_to_wait(nobody_api, started):
    code, secret = started()
    statuses = [check(nobody_api, code, secret).status_code for _ in range(121)]
    assert statuses == [200] * 120 + [429]
    refused = check(nobody_api, code, secret)
    assert TOO_MANY.match(refused.json()["error"])
    assert 1 <= int(refused["Retry-After"]) <= 60


def test_an_address_that_guesses_has_to_wait_while_the_right_secret_goes_on(nobody_api, started):
    code, secret = started()
    guesses = [check(nobody_api, f"{number:08x}", "0" * 32).status_code for number in range(5)]
    guesses += [check(nobody_api, code, f"{number:032x}").status_code for number in range(6)]
    assert guesses == [200] * 5 + [403] * 5 + [429]
    refused = check(nobody_api, "ffffffff", "0" * 32)
    assert refused.status_code == 429
    assert TOO_MANY.match(refused.json()["error"])
    assert 1 <= int(refused["Retry-After"]) <= 60
    assert check(nobody_api, code, secret).json() == {"data": {"status": "pending"}}


def test_the_addresses_of_one_ipv6_network_share_their_guesses(client):
    def guess(address, number):
        return client.get(PATH, {"code": f"{number:08x}", "secret": "0" * 32}, REMOTE_ADDR=address).status_code

    assert [guess(f"2001:db8::{number:x}", number) for number in range(11)] == [200] * 10 + [429]
    assert guess("2001:db8:0:1::1", 11) == 200


def test_people_who_try_codes_on_the_page_do_not_shut_polling(nobody_api):
    for _ in range(500):
        cli_login.WRONG_CODES_OF_ALL.spend()
    assert check(nobody_api, "00000000", "0" * 32).json() == {"data": {"status": "expired"}}


def test_all_addresses_together_may_guess_500_times_a_minute(client):
    def guess(number):
        address = f"192.0.2.{number % 250}"
        return client.get(PATH, {"code": f"{number:08x}", "secret": "0" * 32}, REMOTE_ADDR=address)

    assert {guess(number).status_code for number in range(500)} == {200}
    assert guess(500).status_code == 429
    assert TOO_MANY.match(guess(501).json()["error"])


@pytest.mark.django_db(transaction=True)
def test_sixteen_polls_at_once_give_one_token(nobody_api, approved):
    answers = at_once(*[lambda: check(nobody_api, *approved).json() for _ in range(16)])
    assert [answer["data"]["status"] for answer in answers] == ["approved"] * 16
    assert len({answer["data"]["token"] for answer in answers}) == 1
    assert AccessToken.objects.count() == 1
    assert AuditEvent.objects.filter(action="access_token.issued").count() == 1


def test_the_database_alone_cannot_open_a_sealed_token(nobody_api, approved):
    code, secret = approved
    token = check(nobody_api, code, secret).json()["data"]["token"]
    login = CLILogin.objects.get()
    sealed = bytes(login.sealed_token)
    kept = [sealed, bytes(login.secret_digest), bytes(AccessToken.objects.get().digest)]
    for secret_value in (token, secret):
        assert not any(secret_value.encode() in value or bytes.fromhex(secret_value) in value for value in kept)
    place = f"accounts_clilogin.sealed_token:{login.pk}"
    known = [code, str(login.pk), digest(secret).hex(), digest(token).hex()]
    guesses = [derived_keyring(value, purpose="crayon cli login token") for value in known]
    for ring in (keyring(), *guesses):
        with pytest.raises(CannotOpen):
            ring.open(sealed, place=place)
    assert derived_keyring(secret, purpose="crayon cli login token").open(sealed, place=place).decode() == token


def test_a_sealed_token_opens_in_its_own_row_only(nobody_api, approved, started, alice):
    check(nobody_api, *approved)
    stolen = CLILogin.objects.get()
    code, secret = started()
    mine = CLILogin.objects.get(code=code)
    CLILogin.objects.filter(pk=mine.pk).update(
        state=CLILogin.State.COLLECTED,
        decided_at=timezone.now(),
        decided_by=alice,
        token=stolen.token,
        sealed_token=stolen.sealed_token,
    )
    answer = check(nobody_api, code, secret)
    assert (answer.status_code, "token" in answer.content.decode()) == (403, False)


def test_a_poll_that_picks_up_costs_a_fixed_number_of_queries(nobody_api, approved, django_assert_num_queries):
    # Look-up, savepoint, claim, row with person, organization, token, seal, audit, release.
    with django_assert_num_queries(9):
        check(nobody_api, *approved)
    # Look-up, savepoint, failed claim, row with person and token, release.
    with django_assert_num_queries(5):
        check(nobody_api, *approved)
