"""The audit trail of connections that Nango tells of: each is written down once, with what found it."""

import time
from datetime import timedelta
from threading import Event

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import AuditEvent
from integrations.models import Connection
from integrations.services.access import Claimant, Found, adopt
from tests.accounts.threads import at_once
from tests.integrations.conftest import event, own

pytestmark = pytest.mark.django_db
State = Connection.State


def trail():
    """What the trail says of connections, oldest first: what, by whom, and what found it."""
    rows = AuditEvent.objects.filter(action__startswith="connection.").order_by("pk")
    return [(row.action, row.actor_label, row.details["found_by"]) for row in rows]


def read(api):
    return api.get("/api/credentials/acme", connection_id="main")


def list_own(api):
    return api.get("/api/integrations/acme/connections")


def test_a_connection_made_through_a_link_is_written_down_when_it_is_found(alice, alice_api, sandbox):
    assert alice_api.post("/api/nango/connect-session", {"integration_id": "acme"}).status_code == 200
    sandbox.press_connect(api_key="not-a-secret")
    for _ in range(2):
        (listed,) = list_own(alice_api).json()["data"]

    written = AuditEvent.objects.get(action="connection.created")
    row = Connection.objects.get()
    assert (written.actor_id, written.organization_id) == (alice.pk, alice.personal_organization.pk)
    assert (written.target_type, written.target_id) == ("Connection", str(row.pk))
    assert written.details == {
        "integration_id": "acme",
        "connection_id": listed["connection_id"],
        "owner_id": str(alice.pk),
        "found_by": "list",
    }


def test_a_webhook_is_nobodys_action_and_is_written_down_once(alice, connect, send):
    connect(alice, connection_id="main")
    for _ in range(3):
        send(event(alice))

    assert trail() == [("connection.created", "", "webhook")]
    assert AuditEvent.objects.get().details["owner_id"] == str(alice.pk)


def test_a_look_up_that_finds_one_is_written_down_once(alice, alice_api, connect):
    connect(alice, connection_id="main")
    for _ in range(2):
        assert read(alice_api).status_code == 200

    assert trail() == [("connection.created", "Alice", "look-up")]


def test_a_reconciliation_writes_each_down(alice, bob, connect):
    connect(alice, connection_id="a")
    connect(bob, connection_id="b")
    for _ in range(2):
        call_command("reconcile_connections")

    assert trail() == [("connection.created", "", "reconciliation")] * 2
    owners = [row.details["owner_id"] for row in AuditEvent.objects.all()]
    assert sorted(owners) == sorted([str(alice.pk), str(bob.pk)])


def test_what_is_somebody_elses_leaves_no_row(alice, charlie, send):
    own(alice, "main")
    for operation in ("creation", "override"):
        send(event(charlie, operation=operation))

    assert trail() == []


@pytest.mark.parametrize("find", ["webhook", "list", "look-up", "reconciliation"])
def test_a_claim_that_turns_out_to_be_there_is_confirmed(alice, alice_api, connect, send, find):
    connect(alice, connection_id="main")
    own(alice, "main", state=State.CLAIMING, claimed_at=timezone.now() - timedelta(minutes=2))
    ways = {
        "webhook": lambda: send(event(alice)),
        "list": lambda: list_own(alice_api),
        "look-up": lambda: read(alice_api),
        "reconciliation": lambda: call_command("reconcile_connections"),
    }
    for _ in range(2):
        ways[find]()

    actor = "Alice" if find in {"list", "look-up"} else ""
    assert trail() == [("connection.confirmed", actor, find)]
    assert Connection.objects.get().provider == "private-api-generic"


@pytest.mark.parametrize("needs_reconnect", [True, False])
def test_a_reconnect_is_written_down(alice, send, needs_reconnect):
    own(alice, "main", needs_reconnect=needs_reconnect)
    send(event(alice, operation="override"))

    assert trail() == [("connection.reconnected", "", "webhook")]
    assert not Connection.objects.get().needs_reconnect


def test_a_reconnect_of_what_was_unknown_is_a_new_connection(alice, connect, send):
    connect(alice, connection_id="main")
    send(event(alice, operation="override"))

    assert trail() == [("connection.created", "", "webhook")]


@pytest.mark.parametrize(("operation", "held"), [("creation", False), ("override", True)])
def test_what_cannot_be_written_down_is_not_done(alice, connect, send, operation, held):
    connect(alice, connection_id="main")
    if held:
        own(alice, "main", needs_reconnect=True)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_auditevent ADD CONSTRAINT full_disk CHECK (false) NOT VALID")

    assert send(event(alice, operation=operation)).status_code == 500
    assert list(Connection.objects.values_list("needs_reconnect", flat=True)) == [True] * held


def test_what_is_being_deleted_is_not_reconnected(alice, send):
    own(alice, "main", state=State.DELETING)
    send(event(alice, operation="override"))

    assert trail() == []


def found(person, connection_id):
    claimant = Claimant(person.pk, person.personal_organization.pk)
    return Found("acme", connection_id, "private-api-generic", needs_reconnect=False, claimant=claimant)


@pytest.mark.django_db(transaction=True)
def test_of_many_that_find_one_at_once_one_writes_it_down(alice):
    item, asked = found(alice, "main"), time.monotonic()
    find = [lambda: adopt([item], asked=asked, found_by="webhook", actor=None, now=timezone.now()) for _ in range(8)]

    assert sum(at_once(*find)) == 1
    assert trail() == [("connection.created", "", "webhook")]


@pytest.mark.django_db(transaction=True)
def test_what_somebody_else_records_meanwhile_is_not_written_down(alice, bob):
    items = [found(alice, "taken"), found(alice, "free")]
    recorded = Event()

    def record_another():
        with transaction.atomic():
            own(bob, "taken")
            recorded.set()
            _wait_for_a_blocked_insert()

    def find():
        recorded.wait(timeout=10)
        return adopt(items, asked=time.monotonic(), found_by="list", actor=alice, now=timezone.now())

    assert at_once(record_another, find)[1] == 1
    assert [row.details["connection_id"] for row in AuditEvent.objects.all()] == ["free"]
    assert Connection.objects.get(connection_id="taken").owner == bob


def _wait_for_a_blocked_insert():
    waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted"
    for _ in range(100):
        with connection.cursor() as cursor:
            cursor.execute(waiting)
            if cursor.fetchone():
                return
        time.sleep(0.05)
    pytest.fail("nobody waits to insert the same row")
