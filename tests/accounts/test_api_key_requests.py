"""Requests with an API key: who is let in as whom, in each state of the key, and what the use leaves behind."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import key_bearer, key_format
from accounts.authenticators import HTTP, authenticate
from accounts.bearer import InvalidToken
from accounts.key_bearer import InvalidKey
from accounts.models import APIKey
from accounts.oauth import metadata
from accounts.principals import Kind, Proof
from accounts.services import api_keys, users
from core.crypto import digest
from tests.accounts.keys import NO_GOOD_OF_PEOPLE, UNAUTHENTICATED, asked_from, mistyped, of_worker, personal
from tests.accounts.threads import at_once
from tests.conftest import APIClient

pytestmark = pytest.mark.django_db
PATH = "/api/cloud-dev/list"
INVALID = {
    "error": "This API key is not valid: it is mistyped, has expired or was revoked. Make a new one on this server."
}
NO_TOKEN = {"error": "This access token is not valid or has expired. Run `crayon logout`, then `crayon login`."}


def test_a_key_acts_as_its_person_in_its_organization(alice):
    made = personal(alice)
    principal = authenticate(HTTP, made.plain, now=timezone.now())
    assert (principal.id, principal.kind, principal.proof) == (alice.pk, Kind.USER, Proof.API_KEY)
    assert (principal.organization_slug, principal.role, principal.scopes) == ("alice", "owner", None)
    assert (principal.credential_id, principal.credential_name) == (made.row.pk, "CI")
    assert not principal.is_own_login
    assert APIClient(made.plain).get(PATH).status_code == 200


@pytest.mark.parametrize("state", NO_GOOD_OF_PEOPLE)
def test_a_key_that_is_no_good_lets_nobody_in(alice, state):
    key = NO_GOOD_OF_PEOPLE[state](personal(alice).plain, alice)
    answer = APIClient(key).get(PATH)
    assert answer.status_code == (401 if state in UNAUTHENTICATED else 403)
    if state in UNAUTHENTICATED:
        assert answer.json() == INVALID
        assert answer["WWW-Authenticate"] == metadata.challenge(invalid=True)
    assert APIKey.objects.get().last_used_at is None


def test_a_worker_key_opens_no_route_of_this_server(alice):
    answer = APIClient(of_worker(alice).plain).get(PATH)
    assert (answer.status_code, answer.json()) == (401, NO_TOKEN)


@pytest.mark.parametrize("look", ["mistyped", "cut off", "too long"])
def test_what_cannot_be_a_key_is_refused_without_asking_the_database(alice, look, django_assert_num_queries):
    key = NO_GOOD_OF_PEOPLE[look](personal(alice).plain, alice)
    with django_assert_num_queries(0):
        assert APIClient(key).get(PATH).status_code == 401


def test_a_request_asks_the_database_once_beside_noting_the_use(alice, django_assert_num_queries):
    key, now = personal(alice).plain, timezone.now()
    with django_assert_num_queries(2):
        authenticate(HTTP, key, now=now)
    with django_assert_num_queries(1):
        authenticate(HTTP, key, now=now + timedelta(seconds=59))
    with django_assert_num_queries(1), pytest.raises(InvalidKey):
        authenticate(HTTP, key_format.new(key_format.PERSONAL), now=now)


def test_a_narrowed_key_does_what_it_was_given_and_nothing_else(alice):
    api = APIClient(personal(alice, scopes=frozenset({"workspaces:read"})).plain)
    assert api.get(PATH).status_code == 200
    refused = api.post("/api/cloud-dev/create", {"appName": "studio", "envVars": {}})
    sentence = "This credential lacks the scope workspaces:write. Make one that has it, or use your own login."
    assert (refused.status_code, refused.json()) == (403, {"error": sentence})
    assert 'error="insufficient_scope", scope="workspaces:write"' in refused["WWW-Authenticate"]
    assert refused["WWW-Authenticate"].startswith('Bearer realm="crayon", ')


def test_a_method_that_is_not_there_is_still_405(alice):
    api = APIClient(personal(alice, scopes=frozenset({"tools:use"})).plain)
    assert [api.request(method, PATH).status_code for method in ("PUT", "OPTIONS", "TRACE")] == [405] * 3


def test_a_key_is_not_logged_out_but_revoked(alice):
    answer = APIClient(personal(alice).plain).post("/api/auth/logout")
    sentence = "An API key is not signed out but revoked: on this server's page of API keys, where it was made."
    assert (answer.status_code, answer.json()) == (403, {"error": sentence})
    assert APIKey.objects.get().revoked_at is None


def test_its_last_use_is_noted_at_most_once_a_minute_with_the_address(alice):
    key, first = personal(alice).plain, timezone.now()
    for seconds, noted in ((0, 0), (59, 0), (60, 60), (119, 60)):
        authenticate(HTTP, key, now=first + timedelta(seconds=seconds))
        assert APIKey.objects.get().last_used_at == first + timedelta(seconds=noted)
    APIKey.objects.update(last_used_at=None)
    asked_from("2001:db8::7", PATH, key)
    assert APIKey.objects.get().last_used_address == "2001:db8::7"


def test_a_use_that_another_or_a_revocation_has_overtaken_is_not_noted(alice):
    row, now = personal(alice).row, timezone.now()
    key_bearer.note_use(row.pk, "192.0.2.1", now)
    key_bearer.note_use(row.pk, "192.0.2.2", now + timedelta(seconds=1))
    assert APIKey.objects.get().last_used_address == "192.0.2.1"
    api_keys.revoke(key_id=row.pk, by=alice, now=now)
    key_bearer.note_use(row.pk, "192.0.2.3", now + timedelta(hours=1))
    assert APIKey.objects.get().last_used_at == now


@pytest.mark.parametrize(
    ("networks", "address", "status"),
    [
        (("192.0.2.0/24",), "192.0.2.255", 200),
        (("192.0.2.0/24",), "192.0.3.0", 403),
        (("192.0.2.0/24",), "2001:db8::1", 403),
        (("2001:db8::/32",), "2001:db8:ffff::1", 200),
        (("2001:db8::/32",), "2001:db9::1", 403),
        (("2001:db8::/32",), "192.0.2.1", 403),
        (("192.0.2.0/24", "2001:db8::7/128"), "2001:db8::7", 200),
        (("192.0.2.0/24",), "::ffff:192.0.2.9", 200),
        (("::ffff:192.0.2.0/120",), "192.0.2.9", 200),
        (("0.0.0.0/0",), "2001:db8::1", 403),
    ],
)
def test_a_key_is_good_from_its_networks_alone(alice, networks, address, status):
    answer = asked_from(address, PATH, personal(alice, networks=networks).plain)
    assert answer.status_code == status
    if status == 403:
        assert answer.json() == {"error": str(key_bearer.KeyNotFromHere.default)}


def test_a_key_whose_caller_has_no_address_is_refused(alice):
    with pytest.raises(key_bearer.KeyNotFromHere):
        authenticate(HTTP, personal(alice, networks=("192.0.2.0/24",)).plain, now=timezone.now())


def test_a_key_pauses_while_its_person_is_suspended(alice):
    api = APIClient(personal(alice).plain)
    users.suspend(user=alice, by=None)
    assert api.get(PATH).status_code == 403
    users.restore(user=alice, by=None)
    assert api.get(PATH).status_code == 200


def test_what_is_stored_is_no_key(alice):
    made = personal(alice)
    row = APIKey.objects.get()
    assert bytes(row.digest) == digest(made.plain)
    for stored in (row.start, str(row.pk), bytes(row.digest).hex()):
        assert APIClient(stored).get(PATH).status_code == 401
    assert made.plain not in repr(made) + repr(made.row) + str(made.row)


@pytest.mark.parametrize(
    "key", ["crayon_sk_", "crayon_wk_", "crayon_sk_\xff", "crayon_sk_" + "0" * 9000, "crayon_xx_1"]
)
def test_what_only_begins_like_a_key_is_refused(db, key):
    assert APIClient(key).get(PATH).status_code == 401


def test_every_kind_of_key_has_its_own_beginning(alice):
    plain = personal(alice).plain
    assert key_format.is_whole(plain, key_format.PERSONAL)
    assert not key_format.is_whole(plain, key_format.WORKER)
    assert (len(plain), plain[:10]) == (61, "crayon_sk_")
    assert not any(
        key_format.is_whole(bad, key_format.PERSONAL) for bad in (mistyped(plain), plain.upper(), f"{plain}\n")
    )
    # A personal key is no worker's, however it is presented.
    with pytest.raises((InvalidKey, InvalidToken)):
        authenticate("keys", plain.replace("_sk_", "_wk_"), now=timezone.now())


@pytest.mark.django_db(transaction=True)
def test_of_many_uses_at_once_one_is_noted(alice):
    key, now = personal(alice).plain, timezone.now()
    moments = [now + timedelta(milliseconds=number) for number in range(8)]
    let_in = at_once(*[lambda moment=moment: authenticate(HTTP, key, now=moment).id for moment in moments])
    assert let_in == [alice.pk] * 8
    assert APIKey.objects.get().last_used_at in moments


@pytest.mark.django_db(transaction=True)
def test_a_use_never_brings_a_revoked_key_back(alice):
    made = personal(alice)

    def use() -> str:
        try:
            authenticate(HTTP, made.plain, now=timezone.now())
        except InvalidKey:
            return "refused"
        return "let in"

    def revoke() -> str:
        api_keys.revoke(key_id=made.row.pk, by=alice, now=timezone.now())
        return "revoked"

    at_once(use, use, revoke, use)
    assert use() == "refused"
