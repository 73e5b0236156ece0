"""Credentials that were kept, and must not be given out any more."""

import threading
import time
import uuid
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from core import process_cache
from integrations.models import Connection
from integrations.services import credential_cache
from integrations.services.reconciliation import reconcile_connections
from tests.integrations.conftest import credentials, event, own, place_of

NOT_FOUND = {"error": "Connection not found"}


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


def test_a_fetch_that_began_before_a_drop_keeps_nothing(alice, kept, alice_api):
    began_before = place_of(alice, kept)

    credential_cache.drop(integration_id="acme", connection_id=kept)
    credential_cache.fill(began_before, b"old", seconds=60)

    assert credential_cache.look_up(place_of(alice, kept)) is None


def test_a_fetch_with_no_cache_beside_a_drop_keeps_nothing(alice, kept):
    first = place_of(alice, kept)
    credential_cache.drop(integration_id="acme", connection_id=kept)
    credential_cache.fill(credential_cache.renewed(first), b"old", seconds=60)

    assert credential_cache.look_up(place_of(alice, kept)) is None


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


@contextmanager
def cache_away():
    """The cache is as it was afterwards, as one is that could not be reached meanwhile."""
    before = dict(process_cache._STORE.kept)
    yield
    for key, entry in before.items():
        process_cache._STORE.put(key, entry)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/connections/delete", {}),
        ("/api/nango/connect-session", {}),
        ("/api/connections/create", {"credentials": {"apiKey": "new"}}),
    ],
)
def test_a_drop_that_the_cache_did_not_hear_of_counts(alice_api, kept, sandbox, path, body):
    sandbox.change_connection("acme", kept, credentials={"type": "API_KEY", "apiKey": "new"})
    with cache_away():
        answer = alice_api.post(path, {"integration_id": "acme", "connection_id": kept, **body})
    assert answer.status_code == 200

    again = credentials(alice_api, kept).json()

    assert again == NOT_FOUND if path.endswith("delete") else again["data"]["token"] == "new"


def test_a_webhook_that_the_cache_did_not_hear_of_counts(alice, alice_api, kept, sandbox, send):
    sandbox.change_connection("acme", kept, credentials={"type": "API_KEY", "apiKey": "new"})
    with cache_away():
        assert send(event(alice, connectionId=kept, operation="override")).status_code == 200

    assert credentials(alice_api, kept).json()["data"]["token"] == "new"


def test_a_failed_fetch_with_no_cache_that_the_cache_did_not_hear_of_counts(alice_api, kept, sandbox):
    sandbox.faults(target="nango", match="GET /connections/*", status=500, times=2)
    with cache_away():
        assert credentials(alice_api, kept, headers={"Cache-Control": "no-cache"}).status_code == 502

    assert credentials(alice_api, kept).status_code == 502


def test_a_dropped_row_drops_what_is_kept(alice, kept):
    before = place_of(alice, kept)
    Connection.objects.update(missing_since=timezone.now() - timedelta(hours=1))
    assert reconcile_connections(now=timezone.now()).dropped == 0, "Nango has it"
    assert place_of(alice, kept) == before

    Connection.objects.update(missing_since=timezone.now() - timedelta(hours=1), connection_id="gone")
    assert reconcile_connections(now=timezone.now()).dropped == 1
    assert place_of(alice, kept).epoch == before.epoch + 1


def test_nothing_is_kept_while_a_link_to_reconnect_is_out(alice_api, kept, sandbox, calls):
    alice_api.post("/api/nango/connect-session", {"integration_id": "acme", "connection_id": kept})
    assert credentials(alice_api, kept).json()["data"]["token"] == "sandbox-acme-key"
    sandbox.press_connect(api_key="renewed")

    assert credentials(alice_api, kept).json()["data"]["token"] == "renewed"

    Connection.objects.update(reconnecting_until=timezone.now() - timedelta(seconds=1))
    credentials(alice_api, kept)
    before = len(calls())
    assert credentials(alice_api, kept).json()["data"]["token"] == "renewed"
    assert len(calls()) == before


@pytest.mark.parametrize(("claimed_ago", "is_kept"), [(5, False), (65, True)])
def test_nothing_is_kept_while_an_import_may_still_arrive(alice_api, kept, calls, claimed_ago, is_kept):
    credential_cache.drop(integration_id="acme", connection_id=kept)
    claimed_at = timezone.now() - timedelta(seconds=claimed_ago)
    Connection.objects.update(claim=uuid.uuid4(), claimed_at=claimed_at)
    credentials(alice_api, kept)
    before = len(calls())
    credentials(alice_api, kept)

    assert (len(calls()) == before) is is_kept


def _in_thread(api: Any, connection_id: str) -> int:
    from django.db import connection  # noqa: PLC0415 - the thread's own

    try:
        return int(credentials(api, connection_id).status_code)
    finally:
        connection.close()
