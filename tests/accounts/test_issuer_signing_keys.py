"""The trusted issuer's keys: kept, fetched anew, and what happens when they can't be had. Nobody gets in by it."""

import itertools
import time
from datetime import timedelta
from threading import Event, Thread

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from django.utils import timezone
from jwt.warnings import InsecureKeyLengthWarning

from accounts.trusted_issuers import foreign_token, signing_keys
from accounts.trusted_issuers.errors import InvalidForeignToken, IssuerAway
from tests.accounts.issuer import answer, public_jwk
from tests.accounts.threads import at_once

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.fixture
def at(issuer, acme):
    """Look at a fresh token so many seconds later."""

    def look(seconds=0, **token):
        now = NOW + timedelta(seconds=seconds)
        stamp = int(now.timestamp())
        return foreign_token(issuer.token(iat=stamp, exp=stamp + 300, **token), now=now)

    return look


def drip(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b" ")
        time.sleep(0.05)


@pytest.mark.parametrize(
    "jwks",
    [
        lambda handler: answer(handler, {"error": "gone"}, status=404),
        lambda handler: answer(handler, {}, status=500),
        lambda handler: answer(handler, b"", status=200),
        lambda handler: answer(handler, b"<html>"),
        lambda handler: answer(handler, b"[" * 10_000),
        lambda handler: answer(handler, []),
        lambda handler: answer(handler, {"keys": {}}),
        lambda handler: answer(handler, {"keys": []}),
        lambda handler: answer(handler, {"keys": [1, None, {}, {"kid": []}, {"kid": "RS256"}]}),
        lambda handler: answer(handler, {"keys": [public_jwk("RS256")] * 51}),
        lambda handler: answer(handler, b" " * (256 * 1024) + b'{"keys": []}'),
        lambda handler: answer(handler, b"", status=302, Location="https://attacker.example/keys"),
        lambda handler: handler.connection.close(),
        drip,
    ],
    ids=[
        "not found", "broken", "empty", "no JSON", "deep", "a list", "an object of keys", "no keys", "no key is one",
        "many", "huge", "a redirect", "cut off", "dripping",
    ],
)  # fmt: skip
def test_without_keys_nobody_gets_in(issuer, at, jwks, monkeypatch):
    monkeypatch.setattr(signing_keys, "FETCH_SECONDS", 0.5)
    issuer.jwks = jwks
    with pytest.raises(IssuerAway) as caught:
        at()
    assert (caught.value.status, caught.value.retry_after) == (503, 10)


def test_an_issuer_that_is_not_there_lets_nobody_in(at, settings):
    settings.TRUSTED_TOKENS = settings.TRUSTED_TOKENS.model_copy(update={"jwks_uri": "http://127.0.0.1:9/keys"})
    with pytest.raises(IssuerAway):
        at()


def test_it_is_not_asked_by_every_request_while_it_fails(issuer, at):
    issuer.jwks = lambda handler: answer(handler, {}, status=500)
    for seconds in (0, 1, 4, 6):
        with pytest.raises(IssuerAway):
            at(seconds)
    assert issuer.fetched == 2


def test_nobody_waits_long_for_an_issuer_that_hangs(issuer, monkeypatch):
    """Without a copy of its keys anybody could have all threads wait for it."""
    monkeypatch.setattr(signing_keys, "_PATIENCE_SECONDS", 0.05)
    asked, go = Event(), Event()

    def hang(handler):
        asked.set()
        go.wait(20)
        answer(handler, {}, status=500)

    issuer.jwks = hang
    keys = signing_keys.SigningKeys(f"{issuer.url}/.well-known/jwks.json")
    ended = []

    def find():
        with pytest.raises(IssuerAway):
            keys.find("RS256", at=NOW.timestamp())
        ended.append("one")

    first = Thread(target=find)
    first.start()
    try:
        assert asked.wait(20)
        find()
        assert (ended, first.is_alive()) == (["one"], True)
    finally:
        go.set()
        first.join(20)
    find()
    assert issuer.fetched == 1


def test_the_pause_begins_when_asking_has_ended(issuer, at, monkeypatch):
    ticks = itertools.count(step=10)
    monkeypatch.setattr(signing_keys, "monotonic", lambda: float(next(ticks)))
    issuer.jwks = lambda handler: answer(handler, {}, status=500)
    fetched = []
    for seconds in (0, 3, 12, 16):
        with pytest.raises(IssuerAway):
            at(seconds)
        fetched.append(issuer.fetched)
    assert fetched == [1, 1, 1, 2]


def test_a_clock_that_is_set_back_ends_the_pause(issuer, at):
    issuer.jwks = lambda handler: answer(handler, {}, status=500)
    for seconds in (0, -3600):
        with pytest.raises(IssuerAway):
            at(seconds)
    assert issuer.fetched == 2


def test_keys_are_kept_for_an_hour(issuer, at):
    for seconds in (0, 1, 3599):
        assert at(seconds)
    assert issuer.fetched == 1
    assert at(3600)
    assert issuer.fetched == 2


def test_the_last_good_copy_goes_on_for_a_day(issuer, at):
    assert at()
    issuer.jwks = lambda handler: answer(handler, {"keys": []})
    for seconds in (3600, 7200, 24 * 3600 - 1):
        assert at(seconds)
    with pytest.raises(IssuerAway):
        at(24 * 3600)


def test_a_new_key_is_fetched_when_a_token_has_it(issuer, at):
    assert at()
    new = ed25519.Ed25519PrivateKey.generate()
    issuer.keys.append(public_jwk("EdDSA", new, kid="next"))
    token = {"algorithm": "EdDSA", "key": new, "headers": {"kid": "next"}}
    with pytest.raises(InvalidForeignToken):
        at(10, **token)
    assert issuer.fetched == 1
    assert at(31, **token)
    assert issuer.fetched == 2


def test_made_up_key_ids_have_the_issuer_asked_twice_a_minute_at_most(issuer, at):
    for seconds in range(0, 60, 2):
        with pytest.raises(InvalidForeignToken):
            at(seconds, headers={"kid": f"made-up-{seconds}"})
    assert issuer.fetched == 2


def test_an_unknown_key_is_not_called_invalid_while_the_issuer_fails(issuer, at):
    assert at()
    issuer.jwks = lambda handler: answer(handler, {}, status=500)
    with pytest.raises(IssuerAway):
        at(40, headers={"kid": "new"})


def test_a_key_that_is_taken_back_signs_nothing_after_the_hour(issuer, at):
    assert at(algorithm="EdDSA")
    issuer.keys = [public_jwk("RS256")]
    with pytest.raises(InvalidForeignToken):
        at(3600, algorithm="EdDSA")


@pytest.mark.parametrize(
    "entry",
    [
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"key_ops": "verify"},
        {"alg": "RS512"},
        {"alg": "HS256"},
        {"alg": 5},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "EC", "crv": "P-256"},
        {"n": "AQAB"},
        {"n": 5},
        {"kid": "x" * 256},
    ],
    ids=str,
)
def test_a_key_for_something_else_verifies_nothing(issuer, at, entry):
    issuer.keys = [public_jwk("EdDSA"), public_jwk("RS256", **entry)]
    with pytest.raises(InvalidForeignToken):
        at()


def test_a_short_rsa_key_verifies_nothing(issuer, at):
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    issuer.keys = [public_jwk("EdDSA"), public_jwk("RS256", short)]
    with pytest.warns(InsecureKeyLengthWarning), pytest.raises(InvalidForeignToken):
        at(key=short)


def test_of_two_keys_with_one_id_neither_counts(issuer, at):
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    issuer.keys = [public_jwk("RS256"), public_jwk("RS256", other), public_jwk("EdDSA")]
    assert at(algorithm="EdDSA")
    for key in (None, other):
        with pytest.raises(InvalidForeignToken):
            at(key=key)


def test_many_requests_at_first_ask_once(issuer, acme):
    keys = signing_keys.signing_keys(f"{issuer.url}/.well-known/jwks.json")
    found = at_once(*[lambda: keys.find("RS256", at=NOW.timestamp())] * 8)
    assert all(found)
    assert issuer.fetched == 1
