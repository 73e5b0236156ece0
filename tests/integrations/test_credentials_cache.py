"""GET /api/credentials/{integration_id}, answered from what was kept."""

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache

from accounts.models import AuditEvent, User
from config.core import crypto
from integrations.services import credential_cache
from tests.integrations.conftest import own

NOT_FOUND = {"error": "Connection not found"}


def credentials(api: Any, connection_id: str, integration: str = "acme", **options: Any) -> Any:
    return api.get(f"/api/credentials/{integration}", connection_id=connection_id, **options)


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


@pytest.mark.parametrize(("left", "is_kept"), [(59, False), (90, True)])
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
    alice, alice_api, connect, calls, sandbox, settings, transactional_db
):
    settings.CREDENTIALS_CACHE_SECONDS = 60
    connection_id = connect(alice)
    own(alice, connection_id)
    sandbox.faults(target="nango", match="GET /connections/*", delay=1)
    answers: list[int] = []
    fetch = threading.Thread(target=lambda: answers.append(_in_thread(alice_api, connection_id)))
    fetch.start()
    deadline = time.monotonic() + 10
    while f"GET /connections/{connection_id}" not in calls():
        assert time.monotonic() < deadline
        time.sleep(0.01)

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
    before = AuditEvent.objects.count()
    assert credentials(alice_api, kept).status_code == 200
    assert credentials(alice_api, kept, headers={"Cache-Control": "no-cache"}).status_code == 200
    assert AuditEvent.objects.count() == before


def _in_thread(api: Any, connection_id: str) -> int:
    from django.db import connection  # noqa: PLC0415 - the thread's own

    try:
        return int(credentials(api, connection_id).status_code)
    finally:
        connection.close()


def test_a_fetch_with_no_cache_that_fails_leaves_nothing_kept(alice_api, kept, sandbox):
    sandbox.faults(target="nango", match="GET /connections/*", status=500, times=2)

    fresh = credentials(alice_api, kept, headers={"Cache-Control": "no-cache"})
    again = credentials(alice_api, kept)

    assert (fresh.status_code, again.status_code) == (502, 502)
