"""POST /webhooks/nango."""

import hashlib
import hmac
import json
import logging
import uuid

import pytest

from accounts.services import users
from integrations.models import Connection
from integrations.services import webhooks
from tests.integrations.conftest import WEBHOOK_KEY as KEY
from tests.integrations.conftest import WEBHOOK_PATH as PATH
from tests.integrations.conftest import event, own

DONE, IGNORED = {"data": {"status": "done"}}, {"data": {"status": "ignored"}}
State = Connection.State


def test_a_new_connection_is_recorded_as_its_persons(alice, db, send, calls, connect):
    connect(alice, connection_id="main")

    answer = send(event(alice))

    assert answer.status_code == 200
    assert answer.json() == DONE
    row = Connection.objects.get()
    assert (row.owner, row.organization) == (alice, alice.personal_organization)
    assert (row.integration_id, row.connection_id, row.provider) == ("acme", "main", "private-api-generic")
    assert calls() == ["GET /connections"]


def test_a_late_webhook_does_not_bring_back_what_was_deleted(alice, alice_api, send, connect):
    connect(alice, connection_id="main")
    send(event(alice))
    alice_api.post("/api/connections/delete", {"integration_id": "acme", "connection_id": "main"})

    assert send(event(alice)).json() == DONE
    assert not Connection.objects.exists()


def test_a_webhook_does_not_bring_back_what_is_deleted_while_it_is_read(alice, alice_api, send, connect, monkeypatch):
    connect(alice, connection_id="main")
    send(event(alice))
    rows_of = webhooks.rows_of

    def overtaken(addresses):
        rows = rows_of(addresses)
        alice_api.post("/api/connections/delete", {"integration_id": "acme", "connection_id": "main"})
        return rows

    monkeypatch.setattr(webhooks, "rows_of", overtaken)
    assert send(event(alice)).json() == DONE
    assert not Connection.objects.exists()


def test_while_nango_is_down_it_is_to_be_sent_again(alice, send, sandbox):
    sandbox.faults(target="nango", match="GET /connections", status=500, times=2)

    assert send(event(alice)).status_code == 502
    assert not Connection.objects.exists()


def test_the_same_webhook_again_changes_nothing(alice, send, connect):
    connect(alice, connection_id="main")

    first, second = send(event(alice)), send(event(alice))

    assert first.json() == second.json() == DONE
    assert Connection.objects.count() == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Nango-Hmac-Sha256": ""},
        {"X-Nango-Hmac-Sha256": "00" * 32},
        {"X-Nango-Hmac-Sha256": "é" * 64},
    ],
)
def test_a_bad_signature_is_refused(alice, send, headers):
    answer = send(event(alice), headers=headers)

    assert answer.status_code == 401
    assert answer.json() == {"error": "The signature in X-Nango-Hmac-Sha256 does not fit the body."}
    assert not Connection.objects.exists()


def test_another_key_is_refused(alice, send):
    assert send(event(alice), key="another-key").status_code == 401


def test_the_older_signature_is_not_accepted(alice, send):
    raw = json.dumps(event(alice), sort_keys=True).encode()

    answer = send(raw, headers={"X-Nango-Signature": hashlib.sha256(KEY.encode() + raw).hexdigest()})

    assert answer.status_code == 401


def test_a_changed_body_is_refused(alice, bob, send):
    raw = json.dumps(event(alice), sort_keys=True).encode()
    signature = hmac.new(KEY.encode(), raw, hashlib.sha256).hexdigest()

    answer = send(raw.replace(str(alice.pk).encode(), str(bob.pk).encode()), headers={"X-Nango-Hmac-Sha256": signature})

    assert answer.status_code == 401


def test_without_a_signing_key_it_names_the_setting(alice, send, settings):
    settings.NANGO_WEBHOOK_SIGNING_KEY = ""

    answer = send(event(alice), key="")

    assert answer.status_code == 503
    assert answer.json() == {"error": "This server takes no webhooks: its operator must set NANGO_WEBHOOK_SIGNING_KEY."}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff"])
def test_signed_nonsense_is_refused(send, body):
    answer = send(body)

    assert answer.status_code == 400
    assert answer.json() == {"error": "The body is not valid JSON."}


@pytest.mark.parametrize(
    "body",
    [
        [],
        7,
        {},
        {"type": "sync"},
        {"type": "forward", "payload": {}},
        event(operation="something-new"),
        event(operation=["creation"]),
        event(success=False),
        event(success="true"),
        event(connectionId=7),
        event(connectionId="a\0b"),
        event(connectionId=".."),
        event(providerConfigKey="a,b"),
        event(providerConfigKey=None),
    ],
)
def test_what_it_does_not_know_is_ignored(db, send, body):
    answer = send(body)

    assert answer.status_code == 200
    assert answer.json() == IGNORED
    assert not Connection.objects.exists()


@pytest.mark.parametrize(
    "tags", [None, [], {}, {"end_user_id": 7}, {"end_user_id": "nobody"}, {"end_user_id": str(uuid.uuid4())}]
)
def test_a_connection_of_nobody_we_know_is_not_recorded(db, send, tags, caplog):
    caplog.set_level(logging.WARNING)

    assert send(event(tags=tags)).status_code == 200
    assert not Connection.objects.exists()
    assert "nobody we know" in caplog.text


def test_another_spelling_of_an_id_is_another_tag(alice, send):
    send(event(tags={"end_user_id": str(alice.pk).upper()}))

    assert not Connection.objects.exists()


def test_it_never_moves_a_connection_to_another_person(alice, charlie, send, caplog):
    own(alice, "main")

    for operation in ("creation", "override"):
        assert send(event(charlie, operation=operation)).status_code == 200

    assert Connection.objects.get().owner == alice
    assert "tags of somebody other than its owner" in caplog.text


def test_a_claim_of_the_same_person_becomes_active(alice, send):
    own(alice, "main", state=State.CLAIMING)

    send(event(alice))

    assert Connection.objects.get().state == State.ACTIVE


def test_what_is_being_deleted_stays_so(alice, send):
    own(alice, "main", state=State.DELETING)

    send(event(alice))

    assert Connection.objects.get().state == State.DELETING


def test_a_strange_organization_is_not_believed(alice, bob, send, connect):
    connect(alice, connection_id="main")

    send(event(alice, tags={"end_user_id": str(alice.pk), "organization_id": str(bob.personal_organization.pk)}))

    assert Connection.objects.get().organization == alice.personal_organization


def test_an_older_end_user_counts_where_there_is_no_tag(alice, send, sandbox):
    sandbox.seed(integration="acme", connection_id="main", end_user={"id": str(alice.pk)})

    send(event(endUser={"endUserId": str(alice.pk), "organizationId": None, "tags": {}}))

    assert Connection.objects.get().owner == alice


def test_a_failed_refresh_marks_the_connection(alice, send):
    own(alice, "main")

    answer = send(event(alice, operation="refresh", success=False, error={"type": "t", "description": "d"}))

    assert answer.json() == DONE
    assert Connection.objects.get().needs_reconnect


def test_a_reconnect_takes_the_mark_away(alice, send):
    own(alice, "main", needs_reconnect=True)

    send(event(alice, operation="override"))

    assert not Connection.objects.get().needs_reconnect


@pytest.mark.parametrize("recorded", [False, True])
def test_what_a_suspended_person_connects_with_an_earlier_link_is_nobodys(alice, send, connect, recorded, caplog):
    connect(alice, connection_id="main")
    if recorded:
        own(alice, "main", state=State.CLAIMING)
    users.suspend(user=alice, by=None)

    assert send(event(alice)).json() == DONE
    assert not Connection.objects.filter(state=State.ACTIVE).exists()
    assert "nobody we know" in caplog.text


@pytest.mark.parametrize(("operation", "success"), [("creation", True), ("override", True), ("refresh", False)])
def test_it_drops_kept_credentials(alice, alice_api, connect, sandbox, settings, send, operation, success):
    settings.CREDENTIALS_CACHE_SECONDS = 60
    connect(alice, connection_id="main")
    alice_api.get("/api/credentials/acme", connection_id="main")
    sandbox.change_connection("acme", "main", credentials={"type": "API_KEY", "apiKey": "new"})

    send(event(alice, operation=operation, success=success))

    answer = alice_api.get("/api/credentials/acme", connection_id="main")
    assert answer.json()["data"]["token"] == "new"


def test_a_get_is_not_possible(nobody_api, sandbox):
    answer = nobody_api.get(PATH)

    assert answer.status_code == 405
    assert set(answer.json()) == {"error"}


def test_a_large_body_is_refused(send):
    answer = send(b" " * (1 << 20) + b"{}")

    assert answer.status_code == 413
