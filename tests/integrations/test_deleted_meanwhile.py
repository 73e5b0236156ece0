"""What Nango said before a deletion, and is read after it, brings nothing back."""

from threading import Thread

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import AuditEvent
from core.http_client import Service
from integrations.models import Connection, Tombstone
from integrations.services import access, tombstones
from integrations.services.reconciliation import reconcile_connections
from integrations.tasks import forget_links
from tests.integrations.conftest import at_nango, credentials, event, own

GONE = {"error": "Connection not found"}
LIST = "/api/integrations/acme/connections"


def delete(api):
    return api.post("/api/connections/delete", {"integration_id": "acme", "connection_id": "main"})


@pytest.fixture
def hold_back(monkeypatch):
    """Holds back Nango's next answer that lists connections, until `meanwhile` is over."""
    call = Service.call

    def until(meanwhile):
        def held(self, method, path, **options):
            answer = call(self, method, path, **options)
            if (method, path.split("?")[0]) == ("GET", "/connections"):
                monkeypatch.setattr(Service, "call", call)
                meanwhile()
            return answer

        monkeypatch.setattr(Service, "call", held)

    return until


def listing(api, send, person):
    answer = api.get(LIST)
    assert (answer.status_code, answer.json()) == (200, {"data": []})


def looking_up(api, send, person):
    answer = credentials(api, "main")
    assert (answer.status_code, answer.json()) == (404, GONE)


def reconciling(api, send, person):
    assert reconcile_connections(now=timezone.now()).adopted == 0


def hearing(api, send, person):
    assert send(event(person)).json() == {"data": {"status": "done"}}


READERS = [listing, looking_up, reconciling, hearing]


@pytest.mark.parametrize("read", READERS)
def test_an_answer_from_before_a_deletion_brings_nothing_back(
    read, alice, alice_api, connect, send, sandbox, hold_back
):
    connect(alice, connection_id="main")

    def meanwhile():
        # Recorded by another request that saw it too, and deleted.
        assert [item["connection_id"] for item in alice_api.get(LIST).json()["data"]] == ["main"]
        assert delete(alice_api).json() == {"ok": True}

    hold_back(meanwhile)
    read(alice_api, send, alice)

    assert not Connection.objects.exists()
    assert at_nango(sandbox, "main") is None
    actions = AuditEvent.objects.filter(action__startswith="connection.").order_by("at", "pk")
    assert list(actions.values_list("action", flat=True)) == ["connection.created", "connection.deleted"]


def test_an_answer_from_before_a_deletion_confirms_nothing_that_is_being_made_anew(
    alice, alice_api, connect, hold_back
):
    connect(alice, connection_id="main")
    alice_api.get(LIST)

    def meanwhile():
        delete(alice_api)
        own(alice, "main", state=Connection.State.CLAIMING)

    hold_back(meanwhile)
    alice_api.get(LIST)

    assert Connection.objects.get().state == Connection.State.CLAIMING


def test_a_webhook_from_before_a_deletion_confirms_nothing_that_is_being_made_anew(alice, alice_api, connect, send):
    connect(alice, connection_id="main")
    alice_api.get(LIST)
    delete(alice_api)
    own(alice, "main", state=Connection.State.CLAIMING)

    hearing(alice_api, send, alice)

    assert Connection.objects.get().state == Connection.State.CLAIMING


@pytest.mark.parametrize("read", READERS)
def test_what_is_made_at_nango_after_the_deletion_is_recorded_at_once(read, alice, alice_api, connect, send):
    connect(alice, connection_id="main")
    alice_api.get(LIST)
    delete(alice_api)
    connect(alice, connection_id="main")

    if read is listing:
        assert [item["connection_id"] for item in alice_api.get(LIST).json()["data"]] == ["main"]
    elif read is looking_up:
        assert credentials(alice_api, "main").status_code == 200
    elif read is hearing:
        hearing(alice_api, send, alice)
    else:
        assert reconcile_connections(now=timezone.now()).adopted == 1
    assert Connection.objects.get().state == Connection.State.ACTIVE


@pytest.mark.django_db(transaction=True)
def test_who_records_while_the_deletion_is_being_written_waits_for_it(alice):
    row = own(alice, "main")
    asked, counts = access.time.monotonic(), []
    claimant = access.Claimant(alice.pk, alice.personal_organization.pk)
    found = access.Found("acme", "main", "", needs_reconnect=False, claimant=claimant)

    def adopt():
        try:
            # As one that looked for rows before the deletion began would: none is known.
            counts.append(
                access.adopt([found], asked=asked, found_by="list", actor=alice, now=timezone.now(), known={})
            )
        finally:
            connection.close()

    reader = Thread(target=adopt)
    with transaction.atomic():
        Connection.objects.filter(pk=row.pk).delete()
        reader.start()
        with connection.cursor() as cursor:
            waits = False
            while not waits:
                cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype = 'transactionid')")
                (waits,) = cursor.fetchone()
        tombstones.put(row)
    reader.join(timeout=20)

    assert counts == [0]
    assert not Connection.objects.exists()


def test_tombstones_are_kept_for_an_hour(alice):
    row = own(alice, "main")
    tombstones.put(row)
    forget_links(0)
    assert Tombstone.objects.count() == 1

    Tombstone.objects.update(deleted_at=timezone.now() - tombstones._KEPT_FOR)
    forget_links(0)
    assert not Tombstone.objects.exists()
