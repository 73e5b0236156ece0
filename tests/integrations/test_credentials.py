"""GET /api/credentials/{integration_id}."""

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache

from accounts.models import AuditEvent, User
from config.core import crypto
from integrations.clients.nango import client
from integrations.models import Connection
from integrations.services import credential_cache
from tests.integrations.conftest import at_nango, own

NOT_FOUND = {"error": "Connection not found"}
RECONNECT = {
    "error": "This connection's credentials no longer work. Reconnect it: ask POST /api/nango/connect-session "
    "with its integration_id and connection_id for a link, and open that."
}


def credentials(api: Any, connection_id: str, integration: str = "acme", **options: Any) -> Any:
    return api.get(f"/api/credentials/{integration}", connection_id=connection_id, **options)


def test_it_gives_an_api_key(alice, alice_api, connect):
    connection_id = connect(alice, connection_config={"region": "eu"})

    answer = credentials(alice_api, connection_id)

    assert answer.status_code == 200
    assert answer.json() == {
        "data": {
            "token": "sandbox-acme-key",
            "connectionConfig": {"region": "eu"},
            "raw": {"type": "API_KEY", "apiKey": "sandbox-acme-key"},
        }
    }
    assert answer["Cache-Control"] == "no-store"


def test_it_gives_an_access_token(alice, alice_api, connect, sandbox):
    connection_id = connect(alice, "salesforce")

    data = credentials(alice_api, connection_id, "salesforce").json()["data"]

    held = at_nango(sandbox, connection_id, "salesforce")
    assert held is not None
    assert data["token"] == data["raw"]["access_token"] == held["credentials"]["access_token"]
    assert "refresh_token" not in data["raw"]


def test_a_user_name_and_password_have_no_token(alice, alice_api, connect):
    data = credentials(alice_api, connect(alice, "postgres"), "postgres").json()["data"]

    assert data == {
        "token": "",
        "connectionConfig": {},
        "raw": {"type": "BASIC", "username": "sandbox-user", "password": "sandbox-password"},
    }


@pytest.mark.parametrize(
    ("held", "token"),
    [
        ({"access_token": "a", "api_key": "b", "apiKey": "c", "token": "d"}, "a"),
        ({"api_key": "b", "apiKey": "c", "token": "d"}, "b"),
        ({"apiKey": "c", "token": "d"}, "c"),
        ({"token": "d"}, "d"),
        ({"access_token": 7, "token": "d"}, "d"),
        ({"oauth_token": "e"}, ""),
    ],
)
def test_the_token_is_the_first_of_four_names(alice, alice_api, connect, held, token):
    connection_id = connect(alice, credentials={"type": "OAUTH2_CC", **held})

    assert credentials(alice_api, connection_id).json()["data"]["token"] == token


def test_a_strange_connection_looks_like_an_absent_one_and_is_not_read(alice, alice_api, charlie_api, connect, calls):
    connection_id = connect(alice)
    credentials(alice_api, connection_id)
    before = len(calls())

    strange = credentials(charlie_api, connection_id)
    absent = credentials(charlie_api, "no-such-connection")

    assert strange.status_code == absent.status_code == 404
    assert strange.content == absent.content == b'{"error":"Connection not found"}'
    assert calls()[before:] == ["GET /connections", "GET /connections"]


def test_a_strange_connection_that_is_recorded_nowhere_is_not_read(alice, charlie, charlie_api, connect, sandbox):
    connection_id = connect(alice)

    assert credentials(charlie_api, connection_id).json() == NOT_FOUND
    (question,) = sandbox.requests("nango")
    assert f"{question['method']} {question['path']}" == "GET /connections"
    assert question["query"].startswith(
        f"tags[end_user_id]={charlie.pk}&integrationId=acme&connectionId={connection_id}&"
    )
    assert not Connection.objects.exists()


def test_what_nobodys_tags_are_on_belongs_to_nobody(alice_api, sandbox):
    (connection_id,) = sandbox.seed(integration="acme")

    assert credentials(alice_api, connection_id).json() == NOT_FOUND


def test_a_connection_recorded_for_another_stays_theirs_whatever_its_tags_say(alice, charlie, charlie_api, connect):
    connection_id = connect(charlie)
    own(alice, connection_id)

    assert credentials(charlie_api, connection_id).json() == NOT_FOUND
    assert Connection.objects.get().owner == alice


@pytest.mark.parametrize("tags", [{}, {"end_user_id": "somebody-else"}])
def test_no_credential_leaves_when_the_tags_disagree(alice, alice_api, connect, sandbox, tags, caplog):
    connection_id = connect(alice)
    own(alice, connection_id)
    sandbox.change_connection("acme", connection_id, tags=tags)

    answer = credentials(alice_api, connection_id)

    assert answer.status_code == 404
    assert answer.json() == NOT_FOUND
    assert "its tags say otherwise" in caplog.text


def test_an_older_connection_is_known_by_its_end_user(alice, alice_api, sandbox):
    (connection_id,) = sandbox.seed(integration="acme", end_user={"id": str(alice.pk)})

    assert credentials(alice_api, connection_id).status_code == 200


def test_the_tag_wins_over_an_older_end_user(alice, charlie, charlie_api, sandbox):
    (connection_id,) = sandbox.seed(
        integration="acme", end_user={"id": str(charlie.pk)}, tags={"end_user_id": str(alice.pk)}
    )

    assert credentials(charlie_api, connection_id).json() == NOT_FOUND


def test_the_same_id_under_two_integrations_is_two_connections(alice, charlie, alice_api, charlie_api, connect):
    connect(alice, "acme", connection_id="main")
    connect(charlie, "postgres", connection_id="main")

    assert credentials(alice_api, "main", "acme").status_code == 200
    assert credentials(alice_api, "main", "postgres").json() == NOT_FOUND
    assert credentials(charlie_api, "main", "postgres").status_code == 200


@pytest.mark.parametrize("trap", ["mine?provider_config_key=acme#", "mine/../theirs", "mine%2Ftheirs", "mi ne\"'@é"])
def test_an_id_reaches_nango_whole(alice, alice_api, connect, trap):
    connect(alice, "acme", connection_id=trap)

    assert credentials(alice_api, trap).status_code == 200


def test_an_id_cannot_point_at_another_connection(alice, charlie, charlie_api, connect, calls):
    connect(alice, "postgres", connection_id="x")
    own(charlie, "x?provider_config_key=postgres#")

    assert credentials(charlie_api, "x?provider_config_key=postgres#").json() == NOT_FOUND
    assert calls() == ["GET /connections/x?provider_config_key=postgres#"]


@pytest.mark.parametrize("integration", ["acme%3Fx%3D1%23", "%00", "a%2Cb", "caf%C3%A9", "a" * 256, "acme%23"])
def test_an_integration_that_cannot_be_never_reaches_nango(alice_api, calls, integration):
    answer = credentials(alice_api, "x", integration)

    assert answer.status_code == 404
    assert answer.json() == NOT_FOUND
    assert calls() == []


@pytest.mark.parametrize("connection_id", ["", ".", "..", "a\0b", "a\nb", "a" * 256])
def test_a_connection_id_that_cannot_be_is_refused(alice_api, calls, connection_id):
    answer = credentials(alice_api, connection_id)

    assert answer.status_code == 400
    assert answer.json() == {"error": "connection_id: This is not a connection id."}
    assert calls() == []


def test_it_wants_a_connection_id(alice_api, sandbox):
    answer = alice_api.get("/api/credentials/acme")

    assert answer.status_code == 400
    assert answer.json() == {"error": "connection_id: This field is required."}


def test_an_expired_token_asks_for_a_reconnect(alice, alice_api, connect):
    past = (datetime.now(UTC) - timedelta(days=400)).isoformat()
    connection_id = connect(
        alice, "slack", credentials={"type": "OAUTH2", "access_token": "old", "expires_at": past, "raw": {}}
    )

    answer = credentials(alice_api, connection_id, "slack")

    assert answer.status_code == 409
    assert answer.json() == RECONNECT
    assert Connection.objects.get().needs_reconnect


@pytest.mark.parametrize("refresh", ["rejected", "exhausted"])
def test_rejected_credentials_ask_for_a_reconnect(alice, alice_api, connect, refresh):
    connection_id = connect(alice, "slack", expires_in=60, refresh=refresh)

    first, backing_off = (credentials(alice_api, connection_id, "slack") for _ in range(2))

    assert first.status_code == backing_off.status_code == 409
    assert first.json() == backing_off.json() == RECONNECT
    assert Connection.objects.get().needs_reconnect


def test_credentials_that_work_again_take_the_mark_away(alice, alice_api, connect):
    connection_id = connect(alice)
    own(alice, connection_id, needs_reconnect=True)

    assert credentials(alice_api, connection_id).status_code == 200
    assert not Connection.objects.get().needs_reconnect


def test_a_refusal_of_somebody_elses_connection_does_not_tell_of_it(alice, alice_api, connect, sandbox):
    connection_id = connect(alice, "slack", expires_in=60, refresh="rejected")
    own(alice, connection_id, "slack")
    sandbox.change_connection("slack", connection_id, tags={"end_user_id": "somebody-else"})

    assert credentials(alice_api, connection_id, "slack").json() == NOT_FOUND


@pytest.mark.parametrize("state", [Connection.State.DELETING])
def test_what_is_being_deleted_is_gone(alice, alice_api, connect, calls, state):
    connection_id = connect(alice)
    own(alice, connection_id, state=state)

    assert credentials(alice_api, connection_id).json() == NOT_FOUND
    assert calls() == []


def test_what_is_gone_at_nango_is_marked(alice, alice_api, sandbox):
    own(alice, "gone")

    assert credentials(alice_api, "gone").json() == NOT_FOUND
    assert Connection.objects.get().missing_since is not None


@pytest.mark.parametrize(
    ("fault", "status", "sentence"),
    [
        ({"status": 500}, 502, "Nango failed. Please try again in a moment."),
        ({"status": 503}, 502, "Nango failed. Please try again in a moment."),
        ({"status": 402}, 502, "Nango failed. Please try again in a moment."),
        ({"body": "<html>dashboard</html>"}, 502, "Nango failed. Please try again in a moment."),
        ({"status": 404, "body": "<html>not found</html>"}, 502, "Nango failed. Please try again in a moment."),
        ({"body": "{"}, 502, "Nango failed. Please try again in a moment."),
        ({"body": []}, 502, "Nango failed. Please try again in a moment."),
        ({"body": {"credentials": {}, "tags": []}}, 502, "Nango failed. Please try again in a moment."),
        ({"body": {"tags": {}, "connection_config": {}}}, 502, "Nango failed. Please try again in a moment."),
        ({"drop": "before", "times": 2}, 502, "Nango can't be reached right now. Please try again in a moment."),
        (
            {"status": 401},
            503,
            "Nango does not accept this server's key: its operator must check NANGO_SECRET_KEY.",
        ),
        (
            {"status": 403},
            503,
            "Nango does not accept this server's key: its operator must check NANGO_SECRET_KEY.",
        ),
        ({"status": 429}, 503, "Nango takes no more requests for the moment. Please try again shortly."),
    ],
)
def test_trouble_at_nango_is_told_as_such(alice, alice_api, sandbox, connect, fault, status, sentence):
    connection_id = connect(alice)
    own(alice, connection_id)
    sandbox.faults(target="nango", match="GET /connections/*", **fault)

    answer = credentials(alice_api, connection_id)

    assert answer.status_code == status
    assert answer.json() == {"error": sentence}
    assert Connection.objects.get().missing_since is None


def test_a_cut_connection_is_tried_once_more(alice, alice_api, sandbox, connect):
    connection_id = connect(alice)
    own(alice, connection_id)
    sandbox.faults(target="nango", match="GET /connections/*", drop="after")

    assert credentials(alice_api, connection_id).status_code == 200


def test_a_slow_nango_is_given_five_seconds(alice, alice_api, sandbox, connect):
    connection_id = connect(alice)
    own(alice, connection_id)
    sandbox.faults(target="nango", match="GET /connections/*", delay=20)

    started = time.monotonic()
    answer = credentials(alice_api, connection_id)

    assert answer.status_code == 504
    assert answer.json() == {"error": "Nango did not answer in time. Please try again in a moment."}
    assert 4.5 < time.monotonic() - started < 6.5


def test_nango_that_is_down_is_told_as_such(alice, alice_api, sandbox, settings):
    own(alice, "x")
    settings.NANGO_SERVER_URL = "http://127.0.0.1:9/nango"

    assert credentials(alice_api, "x").status_code == 502


def test_without_a_key_it_names_the_setting(alice_api, sandbox, settings):
    settings.NANGO_SECRET_KEY = ""

    answer = credentials(alice_api, "x")

    assert answer.status_code == 503
    assert answer.json() == {"error": "This server has no access to Nango: its operator must set NANGO_SECRET_KEY."}


def test_after_a_429_nango_is_left_alone(alice, alice_api, sandbox, connect, calls):
    connection_id = connect(alice)
    own(alice, connection_id)
    sandbox.faults(target="nango", match="GET /connections/*", status=429, headers={"Retry-After": "40"})

    answers = [credentials(alice_api, connection_id) for _ in range(5)]

    assert [answer.status_code for answer in answers] == [503] * 5
    assert answers[0]["Retry-After"] == "40"
    assert all(38 <= int(answer["Retry-After"]) <= 40 for answer in answers)
    assert len(calls()) == 1


def test_another_process_leaves_nango_alone_too(alice, alice_api, sandbox, connect, calls):
    connection_id = connect(alice)
    own(alice, connection_id)
    sandbox.faults(target="nango", match="GET /connections/*", status=429)
    credentials(alice_api, connection_id)
    client._shared.cache_clear()

    assert credentials(alice_api, connection_id).status_code == 503
    assert len(calls()) == 1


def test_a_pause_of_no_time_is_a_second(alice, alice_api, sandbox, connect):
    connection_id = connect(alice)
    own(alice, connection_id)
    sandbox.faults(target="nango", match="GET /connections/*", status=429, headers={"Retry-After": "0"})

    assert credentials(alice_api, connection_id)["Retry-After"] == "1"
    time.sleep(1.1)
    assert credentials(alice_api, connection_id).status_code == 200


def test_unknown_ids_can_be_tried_thirty_times_a_minute(alice, charlie_api, connect, calls):
    connection_id = connect(alice)
    own(alice, connection_id)

    answers = [credentials(charlie_api, f"guess-{number}") for number in range(30)]
    assert {answer.status_code for answer in answers} == {404}
    guess, strange = credentials(charlie_api, "guess-31"), credentials(charlie_api, connection_id)

    assert guess.status_code == strange.status_code == 429
    assert guess.content == strange.content
    assert int(guess["Retry-After"]) >= 1
    assert len(calls()) == 30


def test_a_recorded_connection_takes_two_queries(alice, alice_api, connect, django_assert_num_queries):
    connection_id = connect(alice)
    credentials(alice_api, connection_id)

    with django_assert_num_queries(2):
        assert credentials(alice_api, connection_id).status_code == 200


def test_no_secret_shows_in_a_log(alice, alice_api, connect, caplog):
    caplog.set_level("DEBUG")

    credentials(alice_api, connect(alice))

    assert "sandbox-acme-key" not in caplog.text
    assert alice_api.token not in caplog.text


# --- The cache ---------------------------------------------------------------------------------


@pytest.fixture
def kept(alice: User, alice_api: Any, connect: Any, settings: Any) -> str:
    """A connection whose credentials are kept."""
    settings.CREDENTIALS_CACHE_SECONDS = 60
    connection_id = connect(alice)
    assert credentials(alice_api, connection_id).status_code == 200
    return str(connection_id)


def test_a_kept_credential_takes_one_query_and_no_call(alice_api, kept, calls, django_assert_num_queries):
    before = len(calls())

    with django_assert_num_queries(1):
        answer = credentials(alice_api, kept)

    assert answer.json()["data"]["token"] == "sandbox-acme-key"
    assert len(calls()) == before


def test_a_kept_credential_is_sealed(kept, alice):
    name = credential_cache._name("acme", kept)
    sealed = cache.get(f"credentials:{alice.pk}:{name}")

    assert isinstance(sealed, bytes)
    assert b"sandbox-acme-key" not in sealed


def test_a_kept_credential_is_its_owners_alone(kept, charlie_api):
    assert credentials(charlie_api, kept).json() == NOT_FOUND


def test_a_sealed_credential_that_was_moved_does_not_open(kept, alice, bob, bob_api):
    name = credential_cache._name("acme", kept)
    cache.set(f"credentials:{bob.pk}:{name}", cache.get(f"credentials:{alice.pk}:{name}"))

    assert credentials(bob_api, kept).json() == NOT_FOUND


def test_no_cache_asks_anew_and_keeps_the_answer(alice_api, kept, sandbox, calls):
    sandbox.change_connection("acme", kept, credentials={"type": "API_KEY", "apiKey": "new"})

    stale = credentials(alice_api, kept)
    fresh = credentials(alice_api, kept, headers={"Cache-Control": "max-age=0, No-Cache"})
    before = len(calls())
    again = credentials(alice_api, kept)

    assert [answer.json()["data"]["token"] for answer in (stale, fresh, again)] == ["sandbox-acme-key", "new", "new"]
    assert len(calls()) == before


def test_an_own_delete_drops_it(alice_api, kept):
    alice_api.post("/api/connections/delete", {"integration_id": "acme", "connection_id": kept})

    assert credentials(alice_api, kept).json() == NOT_FOUND


def test_an_own_reconnect_drops_it(alice_api, kept, sandbox):
    sandbox.change_connection("acme", kept, credentials={"type": "API_KEY", "apiKey": "new"})
    alice_api.post("/api/nango/connect-session", {"integration_id": "acme", "connection_id": kept})

    assert credentials(alice_api, kept).json()["data"]["token"] == "new"


def test_an_own_create_drops_it(alice_api, kept):
    alice_api.post(
        "/api/connections/create",
        {"integration_id": "acme", "connection_id": kept, "credentials": {"apiKey": "new"}},
    )

    assert credentials(alice_api, kept).json()["data"]["token"] == "new"


@pytest.mark.parametrize(("left", "is_kept"), [(59, False), (62, True)])
def test_it_is_kept_until_a_minute_before_it_expires(alice, alice_api, connect, settings, calls, left, is_kept):
    settings.CREDENTIALS_CACHE_SECONDS = 60
    soon = (datetime.now(UTC) + timedelta(seconds=left)).isoformat()
    connection_id = connect(
        alice, "slack", credentials={"type": "OAUTH2", "access_token": "at", "expires_at": soon, "raw": {}}
    )

    credentials(alice_api, connection_id, "slack")
    before = len(calls())
    credentials(alice_api, connection_id, "slack")

    assert (len(calls()) == before) is is_kept


def test_a_fetch_that_began_before_a_drop_keeps_nothing(alice, settings, sandbox):
    settings.CREDENTIALS_CACHE_SECONDS = 60
    address = {"integration_id": "acme", "connection_id": "x"}
    place, _ = credential_cache.look_up(owner_id=alice.pk, **address, fresh=False)
    assert place is not None

    credential_cache.drop(**address)
    credential_cache.fill(place, b"old", seconds=60)

    assert credential_cache.look_up(owner_id=alice.pk, **address, fresh=False)[1] is None


def test_a_fetch_in_flight_during_a_delete_keeps_nothing(
    alice, alice_api, connect, sandbox, settings, transactional_db
):
    settings.CREDENTIALS_CACHE_SECONDS = 60
    connection_id = connect(alice)
    own(alice, connection_id)
    sandbox.faults(target="nango", match="GET /connections/*", delay=1)
    answers: list[int] = []
    fetch = threading.Thread(target=lambda: answers.append(_in_thread(alice_api, connection_id)))
    fetch.start()
    time.sleep(0.4)

    deleted = alice_api.post("/api/connections/delete", {"integration_id": "acme", "connection_id": connection_id})
    fetch.join()

    assert deleted.json() == {"ok": True}
    assert credentials(alice_api, connection_id).json() == NOT_FOUND
    assert answers[0] in {200, 404}


def test_another_key_reads_nothing_of_it(kept, alice_api, settings, calls):
    before = len(calls())
    settings.ENCRYPTION_KEYS = "1:" + "QUJD" * 10 + "QUI="
    crypto.parse_keys(settings.ENCRYPTION_KEYS)

    assert credentials(alice_api, kept).status_code == 200
    assert len(calls()) == before + 1


def test_a_lost_mark_is_a_miss(kept, alice_api, calls):
    before = len(calls())
    cache.delete(credential_cache._generation_key(credential_cache._name("acme", kept)))

    assert credentials(alice_api, kept).status_code == 200
    assert len(calls()) == before + 1


def test_reading_leaves_no_trace_in_the_audit_trail(alice_api, kept):
    assert not AuditEvent.objects.filter(action__startswith="connection").exists()


def _in_thread(api: Any, connection_id: str) -> int:
    from django.db import connection  # noqa: PLC0415 - the thread's own

    try:
        return int(credentials(api, connection_id).status_code)
    finally:
        connection.close()
