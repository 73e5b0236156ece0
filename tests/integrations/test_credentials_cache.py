"""GET /api/credentials/{integration_id}, answered from what was kept."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone

from accounts.models import AuditEvent
from core import crypto
from tests.integrations.conftest import credentials, own, place_of

NOT_FOUND = {"error": "Connection not found"}


def test_a_kept_credential_takes_one_query_and_no_call(alice_api, kept, calls, django_assert_num_queries):
    before = len(calls())

    with django_assert_num_queries(1):
        answer = credentials(alice_api, kept)

    assert answer.json()["data"]["token"] == "sandbox-acme-key"
    assert len(calls()) == before


def test_a_kept_credential_is_sealed(kept, alice):
    sealed = cache.get(place_of(alice, kept).key)

    assert isinstance(sealed, bytes)
    assert b"sandbox-acme-key" not in sealed


def test_a_kept_credential_is_its_owners_alone(kept, charlie_api):
    assert credentials(charlie_api, kept).json() == NOT_FOUND


def test_a_sealed_credential_that_was_moved_does_not_open(kept, alice, bob, bob_api):
    cache.set(place_of(bob, kept).key, cache.get(place_of(alice, kept).key))

    assert credentials(bob_api, kept).json() == NOT_FOUND


def test_no_cache_asks_anew_and_keeps_the_answer(alice_api, kept, sandbox, calls):
    sandbox.change_connection("acme", kept, credentials={"type": "API_KEY", "apiKey": "new"})

    stale = credentials(alice_api, kept)
    fresh = credentials(alice_api, kept, headers={"Cache-Control": "max-age=0, No-Cache"})
    before = len(calls())
    again = credentials(alice_api, kept)

    assert [answer.json()["data"]["token"] for answer in (stale, fresh, again)] == ["sandbox-acme-key", "new", "new"]
    assert len(calls()) == before


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


def test_another_key_reads_nothing_of_it(kept, alice_api, settings, calls):
    before = len(calls())
    settings.ENCRYPTION_KEYS = "1:" + "QUJD" * 10 + "QUI="
    crypto.parse_keys(settings.ENCRYPTION_KEYS)

    assert credentials(alice_api, kept).status_code == 200
    assert len(calls()) == before + 1


def with_expiry(**ends: int) -> dict[str, Any]:
    """Fields named `a__b` that expire so many seconds from now."""
    fields: dict[str, Any] = {"credentials": {"type": "CUSTOM", "raw": {}}, "connection_config": {}}
    for path, seconds in ends.items():
        *above, last = path.split("__")
        holder = fields
        for name in above:
            holder = holder.setdefault(name, {})
        holder[last] = {
            "access_token": "not-a-secret",
            "expires_at": (timezone.now() + timedelta(seconds=seconds)).isoformat(),
        }
    return fields


@pytest.mark.parametrize(
    ("ends", "is_kept"),
    [
        ({"credentials__app": 600, "credentials__user": 600}, True),
        ({"credentials__app": 59, "credentials__user": 600}, False),
        ({"credentials__app": 600, "credentials__user": 59}, False),
        ({"credentials__app": -600, "credentials__user": 600}, False),
        ({"credentials__app": 600, "connection_config__userCredentials": 59}, False),
    ],
)
def test_the_first_of_two_tokens_to_expire_decides(alice, alice_api, settings, sandbox, calls, ends, is_kept):
    settings.CREDENTIALS_CACHE_SECONDS = 60
    own(alice, "app")
    body = {"tags": {"end_user_id": str(alice.pk)}, **with_expiry(**ends)}
    sandbox.faults(
        target="nango",
        match="GET /connections/app",
        status=200,
        body=json.dumps(body),
        content_type="application/json",
        times=0,
    )

    assert credentials(alice_api, "app").status_code == 200
    before = len(calls())
    assert credentials(alice_api, "app").status_code == 200

    assert (len(calls()) == before) is is_kept


def test_reading_leaves_no_trace_in_the_audit_trail(alice_api, kept):
    before = AuditEvent.objects.count()
    assert credentials(alice_api, kept).status_code == 200
    assert credentials(alice_api, kept, headers={"Cache-Control": "no-cache"}).status_code == 200
    assert AuditEvent.objects.count() == before


def test_a_fetch_with_no_cache_that_fails_leaves_nothing_kept(alice_api, kept, sandbox):
    sandbox.faults(target="nango", match="GET /connections/*", status=500, times=2)

    fresh = credentials(alice_api, kept, headers={"Cache-Control": "no-cache"})
    again = credentials(alice_api, kept)

    assert (fresh.status_code, again.status_code) == (502, 502)
