"""POST /api/auth/cli/session: a CLI asks to be let in."""

import re
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import CLILogin
from core.fields import Sealed

pytestmark = pytest.mark.django_db
PATH = "/api/auth/cli/session"


def test_it_gives_a_code_and_a_secret_and_keeps_the_secret_as_a_digest_only(nobody_api):
    answer = nobody_api.post(PATH, {"clientName": "crayon CLI", "hostname": "laptop"})
    data = answer.json()["data"]
    assert answer.status_code == 200
    assert re.fullmatch(r"[0-9a-f]{8}", data["code"])
    assert re.fullmatch(r"[0-9a-f]{32}", data["secret"])
    assert answer.headers["Cache-Control"] == "no-store"
    login = CLILogin.objects.get(code=data["code"])
    assert (login.client_name, login.hostname, login.address) == ("crayon CLI", "laptop", "127.0.0.1")
    assert data["secret"].encode() not in bytes(login.secret_digest)
    assert login.sealed_token is None
    assert timedelta(minutes=4, seconds=50) < login.expires_at - timezone.now() <= timedelta(minutes=5)


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_it_takes_an_empty_body(nobody_api, body):
    answer = nobody_api.request("POST", PATH, data=body, content_type="application/json")
    assert answer.status_code == 200
    assert CLILogin.objects.get().client_name == ""


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"[]", "The body must be a JSON object."),
        (b"{", "The body is not valid JSON."),
        (b'"\xff"', "The body is not valid JSON."),
        (b"[" * 100_000, "The body is not valid JSON."),
        (b'{"clientName": 7}', "clientName: Not a valid string."),
        (b'{"clientName": ["a"]}', "clientName: Not a valid string."),
        (b'{"hostname": "a\\u0000b"}', "hostname: Null characters are not allowed."),
        *[
            (f'{{"{field}": "a\\u{point}b"}}'.encode(), f"{field}: Only printable characters are allowed.")
            for field in ("clientName", "hostname")
            for point in ("000a", "001b", "007f", "0085", "200b", "202e", "2028", "2066")
        ],
        (b'{"hostname": "' + b"x" * 256 + b'"}', "hostname: Ensure this field has no more than 255 characters."),
    ],
)
def test_it_refuses_a_malformed_body_with_a_sentence_that_names_the_field(nobody_api, body, sentence):
    answer = nobody_api.request("POST", PATH, data=body, content_type="application/json")
    assert (answer.status_code, answer.json()) == (400, {"error": sentence})
    assert not CLILogin.objects.exists()


def test_it_takes_words_of_any_language(nobody_api):
    assert nobody_api.post(PATH, {"clientName": "crayon 🖍 CLI", "hostname": "מחשב"}).status_code == 200
    login = CLILogin.objects.get()
    assert (login.client_name, login.hostname) == ("crayon 🖍 CLI", "מחשב")


def test_it_refuses_a_body_of_another_type(nobody_api):
    answer = nobody_api.request("POST", PATH, data=b"clientName=x", content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 415
    assert answer.json() == {"error": "Send the body as JSON, with `Content-Type: application/json`."}


def test_it_refuses_a_body_of_more_than_a_megabyte(nobody_api):
    answer = nobody_api.request("POST", PATH, data=b" " * (1 << 20) + b"{}", content_type="application/json")
    assert (answer.status_code, answer.json()) == (413, {"error": "The request's body is too large."})


def test_it_is_not_readable_with_get(nobody_api):
    answer = nobody_api.get(PATH)
    assert answer.status_code == 405
    assert answer.json() == {"error": "This method is not possible at this address."}
    assert answer.headers["Allow"] == "POST"


def test_an_address_that_starts_too_many_logins_has_to_wait(nobody_api):
    statuses = [nobody_api.post(PATH).status_code for _ in range(31)]
    assert statuses == [200] * 30 + [429]
    refused = nobody_api.post(PATH)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    wait = refused["Retry-After"]
    assert refused.json() == {
        "error": f"Too many requests. Please try again in {wait} second{'' if wait == '1' else 's'}."
    }


@pytest.mark.django_db(transaction=True)
def test_the_limit_holds_when_requests_come_at_once(nobody_api):
    statuses: list[int] = []
    barrier = Barrier(40)

    def ask() -> None:
        barrier.wait()
        try:
            statuses.append(nobody_api.post(PATH).status_code)
        finally:
            connection.close()

    threads = [Thread(target=ask) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 30 + [429] * 10


def test_starting_a_login_erases_the_sealed_tokens_of_those_that_are_over(nobody_api, alice):
    over = timezone.now() - timedelta(seconds=1)
    CLILogin.objects.create(
        code="00000000", secret_digest=b"d" * 32, created_at=over, expires_at=over, sealed_token=Sealed(b"sealed"),
        state=CLILogin.State.COLLECTED, decided_at=over, decided_by=alice,
    )  # fmt: skip
    nobody_api.post(PATH)
    assert CLILogin.objects.get(code="00000000").sealed_token is None


def test_the_addresses_of_one_ipv6_network_share_their_limit(client):
    def start(address):
        return client.post(PATH, {}, content_type="application/json", REMOTE_ADDR=address).status_code

    assert [start(f"2001:db8::{number:x}") for number in range(31)] == [200] * 30 + [429]
    assert start("2001:db8:0:1::1") == 200
    assert CLILogin.objects.filter(address="2001:db8::1d").exists()


def test_one_ipv6_network_does_not_shut_starting_for_all(client, settings):
    """A /56 has 256 networks as a host sees them."""
    settings.CLI_LOGIN_STARTS_PER_MINUTE = 100

    def start(address):
        return client.post(PATH, {}, content_type="application/json", REMOTE_ADDR=address).status_code

    statuses = [start(f"2001:db8:0:{number:x}::1") for number in range(256)]
    assert statuses == [200] * 60 + [429] * 196
    assert start("2001:db8:1::1") == 200


def test_networks_that_started_none_may_when_few_have_used_up_what_all_may(client, settings):
    settings.CLI_LOGIN_STARTS_PER_MINUTE = 40

    def start(address):
        return client.post(PATH, {}, content_type="application/json", REMOTE_ADDR=address).status_code

    assert [start(f"2001:db8:0:{number:x}::1") for number in range(41)] == [200] * 40 + [429]
    assert start("2001:db8:1::1") == 200
    assert start("2001:db8:1::1") == 429
