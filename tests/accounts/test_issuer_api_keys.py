"""API keys of a trusted application: it is asked, a yes is kept for half a minute, and all else is no."""

import time
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from accounts.models import User
from accounts.principals import Kind, Proof
from accounts.trusted_issuers import foreign_key, foreign_token, key_validation
from accounts.trusted_issuers.errors import InvalidForeignKey, IssuerAway, UnknownOrganization
from core.crypto import digest
from core.errors import TooManyRequests
from tests.accounts.issuer import PERSONAL, WORKER, answer, api_key
from tests.accounts.keys import of_worker, personal
from tests.accounts.threads import at_once
from tests.conftest import APIClient

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def look(key=PERSONAL, seconds=0):
    return foreign_key(key, now=NOW + timedelta(seconds=seconds))


def test_a_personal_key_is_its_person_who_is_the_same_as_by_token(issuer, acme):
    issuer.say(name="ci", role="admin", orgId="acme-there", permissions=None)
    found = look()
    assert (found.kind, found.proof, found.role, found.scopes) == (Kind.USER, Proof.API_KEY, "admin", None)
    assert found.organization_id == acme.pk
    assert found.id == foreign_token(issuer.token(), now=timezone.now()).id == User.objects.get().pk
    assert issuer.asked == [{"apiKey": PERSONAL}]


def test_a_workers_key_is_no_person(issuer, acme):
    issuer.said = {"valid": True, "orgSlug": "acme", "principalType": "Worker", "principalId": "w-1", "name": "ci"}
    issuer.said["role"] = "owner"
    found = look(WORKER)
    assert (found.kind, found.proof, found.role, found.name) == (Kind.WORKER, Proof.WORKER_KEY, "worker", "ci")
    assert found.id == look(WORKER, 31).id
    assert not User.objects.exists()


def test_the_shortest_yes_is_enough(issuer, acme):
    issuer.said = {"valid": True, "orgSlug": "acme", "userId": "alice-there"}
    assert look().role == "member"
    issuer.said = {"valid": True, "tenantSlug": "acme", "keyId": "k-1"}
    assert look(WORKER).kind == Kind.WORKER


@pytest.mark.parametrize(
    ("permissions", "scopes"),
    [
        ({"connections": ["read", "use"], "workflow": ["view"]}, {"connections:read", "connections:use"}),
        ({"workflow": ["view"]}, set()),
        ({}, set()),
    ],
)
def test_permissions_narrow_and_never_widen(issuer, acme, permissions, scopes):
    issuer.say(permissions=permissions)
    assert look().scopes == scopes


@pytest.mark.parametrize(
    "credential",
    ["", "a" * 64, "crayon_sk_short", "crayon_sk_" + "x" * 201, "crayon_xk_" + "x" * 51, "CRAYON_sk_" + "x" * 51,
     "crayon_sk_" + "x" * 50 + "é", "crayon_sk_" + "x" * 50 + "\n", "eyJ.eyJ.eyJ"],
)  # fmt: skip
def test_what_is_no_api_key_is_never_sent_there(issuer, acme, credential):
    issuer.say()
    assert look(credential) is None
    assert issuer.asked == []


def test_without_an_address_nobody_is_asked(issuer, acme, settings):
    settings.KEY_VALIDATION = None
    assert look() is None


def test_a_yes_is_kept_for_half_a_minute(issuer, acme):
    issuer.say()
    for seconds in (0, 1, 29):
        assert look(seconds=seconds)
    assert len(issuer.asked) == 1
    issuer.said = {"valid": False, "error": "revoked"}
    with pytest.raises(InvalidForeignKey):
        look(seconds=30)


def test_a_no_is_asked_again_at_once(issuer, acme):
    for _ in range(2):
        with pytest.raises(InvalidForeignKey) as caught:
            look()
    assert len(issuer.asked) == 2
    assert (caught.value.status, caught.value.sentence) == (
        401,
        "Invalid credentials: this API key is not valid or has expired.",
    )
    issuer.say()
    assert look()


def test_a_yes_ends_with_the_key(issuer, acme):
    issuer.say(expiresAt=(NOW + timedelta(seconds=10)).isoformat())
    assert look()
    with pytest.raises(InvalidForeignKey):
        look(seconds=10)
    issuer.say(expiresAt=(NOW - timedelta(seconds=1)).isoformat())
    with pytest.raises(InvalidForeignKey):
        look(seconds=11)


@pytest.mark.parametrize(
    "said",
    [
        {},
        [],
        None,
        {"valid": "true"},
        {"valid": 1},
        {"valid": True},
        {"valid": True, "orgSlug": "acme"},
        {"valid": True, "orgSlug": "acme", "userId": ""},
        {"valid": True, "orgSlug": "acme", "userId": 5},
        {"valid": True, "orgSlug": "acme", "userId": "x" * 256},
        {"valid": True, "orgSlug": "", "userId": "a"},
        {"valid": True, "orgSlug": ["acme"], "userId": "a"},
        {"valid": True, "orgSlug": "acme", "userId": "a", "principalType": "Root"},
        {"valid": True, "orgSlug": "acme", "userId": "a", "role": "superuser"},
        {"valid": True, "orgSlug": "acme", "userId": "a", "role": "worker"},
        {"valid": True, "orgSlug": "acme", "userId": "a", "permissions": ["all"]},
        {"valid": True, "orgSlug": "acme", "userId": "a", "permissions": {"connections": "use"}},
        {"valid": True, "orgSlug": "acme", "userId": "a", "expiresAt": "never"},
        b"<html>",
        b"[" * 100_000,
        b" " * 70_000 + b'{"valid": true}',
    ],
    ids=lambda said: str(said)[:60],
)
def test_a_lying_answer_lets_nobody_in(issuer, acme, said):
    issuer.said = said
    with pytest.raises((InvalidForeignKey, IssuerAway)):
        look()
    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("status", "error"),
    [(201, InvalidForeignKey), (302, InvalidForeignKey), (400, InvalidForeignKey), (404, InvalidForeignKey),
     (429, IssuerAway), (500, IssuerAway), (503, IssuerAway)],
)  # fmt: skip
def test_only_a_200_is_an_answer(issuer, acme, status, error):
    issuer.say()
    issuer.status = status
    with pytest.raises(error):
        look()


def test_a_redirect_is_not_followed(issuer, acme):
    issuer.said = lambda handler: answer(handler, b"", status=307, Location=f"{issuer.url}/elsewhere")
    with pytest.raises(InvalidForeignKey):
        look()
    assert len(issuer.asked) == 1


def test_an_application_that_is_down_or_slow_lets_nobody_in(issuer, acme, settings):
    def slow(handler):
        time.sleep(1.5)
        answer(handler, {"valid": True, "orgSlug": "acme", "userId": "alice-there"})

    settings.KEY_VALIDATION = settings.KEY_VALIDATION.model_copy(update={"timeout_secs": 1})
    issuer.said = slow
    with pytest.raises(IssuerAway):
        look()
    settings.KEY_VALIDATION = settings.KEY_VALIDATION.model_copy(update={"validation_url": "http://127.0.0.1:9/x"})
    with pytest.raises(IssuerAway) as caught:
        look()
    assert caught.value.retry_after == 10


def test_a_slow_application_keeps_no_more_than_eight_threads_waiting(issuer, acme):
    issuer.said = lambda handler: (time.sleep(1), answer(handler, {"valid": False}))

    def ask(number):
        try:
            look(api_key("crayon_sk_", str(number)))
        except (InvalidForeignKey, TooManyRequests) as error:
            return type(error)

    told = at_once(*[lambda number=number: ask(number % 10) for number in range(12)])
    assert told.count(TooManyRequests) == 4
    assert len(issuer.asked) == 8


def test_guesses_are_limited_and_others_are_not_kept_out(issuer, acme, monkeypatch):
    monkeypatch.setattr(key_validation, "current_address", lambda: "192.0.2.1")
    for _ in range(60):
        with pytest.raises(InvalidForeignKey):
            look()
    issuer.say()
    with pytest.raises(TooManyRequests):
        look()
    monkeypatch.setattr(key_validation, "current_address", lambda: "192.0.2.2")
    assert look()
    # What is kept needs no call.
    monkeypatch.setattr(key_validation, "current_address", lambda: "192.0.2.1")
    assert look()


def test_an_unknown_organization_is_told_after_a_yes_only(issuer, acme):
    issuer.say(orgSlug="other")
    with pytest.raises(UnknownOrganization) as caught:
        look()
    assert caught.value.sentence == "Unknown organization: other"


def test_what_is_kept_is_sealed_and_bound_to_the_key_and_to_who_said_it(issuer, acme, settings):
    issuer.say()
    assert look()
    place = key_validation._place(PERSONAL)
    sealed = cache.get(place)
    assert isinstance(sealed, bytes)
    assert not [part for part in (PERSONAL, "alice", "acme") if part.encode() in sealed]
    assert PERSONAL not in place
    assert digest(PERSONAL).hex() in place
    issuer.said = {"valid": False}
    cache.set(key_validation._place(WORKER), sealed)
    with pytest.raises(InvalidForeignKey):
        look(WORKER)
    cache.set(place, b"x" + sealed[1:])
    with pytest.raises(InvalidForeignKey):
        look()
    # An old yes put there again is over.
    cache.set(place, sealed)
    with pytest.raises(InvalidForeignKey):
        look(seconds=31)
    settings.KEY_VALIDATION = settings.KEY_VALIDATION.model_copy(update={"validation_url": f"{issuer.url}/other"})
    with pytest.raises(InvalidForeignKey):
        look()


def test_a_key_is_in_no_log(issuer, acme, caplog):
    caplog.set_level("DEBUG")
    for said in ({"valid": False}, {"valid": True}, b"x"):
        issuer.said = said
        with pytest.raises(InvalidForeignKey):
            look()
    assert PERSONAL not in caplog.text


@pytest.mark.parametrize("credential", [PERSONAL[:-1] + "0", WORKER[:-1] + "0", "crayon_sk_" + "x" * 51])
def test_a_mistyped_key_is_not_sent_there(issuer, acme, credential):
    issuer.say()
    with pytest.raises(InvalidForeignKey):
        look(credential)
    assert issuer.asked == []


def test_a_key_with_other_prefixes_is_asked_about_as_it_is(issuer, acme):
    issuer.say()
    assert look("other_sk_" + "x" * 64).kind == Kind.USER
    assert issuer.asked == [{"apiKey": "other_sk_" + "x" * 64}]


@pytest.mark.parametrize("state", ["working", "revoked", "expired"])
def test_no_key_of_this_servers_is_ever_sent_there(issuer, acme, alice, state):
    issuer.say()
    for made in (personal(alice), of_worker(alice)):
        ended = {"revoked": {"revoked_at": NOW}, "expired": {"expires_at": NOW - timedelta(days=1)}}.get(state, {})
        type(made.row).objects.filter(pk=made.row.pk).update(**ended)
        answer = APIClient(made.plain).get("/api/cloud-dev/list")
        assert answer.status_code == (200 if state == "working" and made.plain.startswith("crayon_sk_") else 401)
        with pytest.raises(InvalidForeignKey):
            look(made.plain)
    assert issuer.asked == []
