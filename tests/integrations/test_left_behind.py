"""What is left half made or half deleted: each is finished by a job of its own, and written down once."""

from datetime import timedelta

import pytest
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import AuditEvent
from integrations import tasks
from integrations.models import Connection
from integrations.services.unfinished import finish_left_behind
from tests.integrations.conftest import at_nango, own
from tests.operators import browser_of, make_operator

pytestmark = pytest.mark.django_db
State = Connection.State


def create(api, connection_id="main"):
    credentials = {"apiKey": "alices-key"}
    body = {"integration_id": "acme", "connection_id": connection_id, "credentials": credentials}
    return api.post("/api/connections/create", body)


def delete(api, connection_id="main"):
    return api.post("/api/connections/delete", {"integration_id": "acme", "connection_id": connection_id})


def listed(api):
    return api.get("/api/integrations/acme/connections").json()["data"]


def trail(action):
    return list(AuditEvent.objects.filter(action=action).values_list("details__connection_id", flat=True))


def later(**passed):
    """Finish what is left by then."""
    return vars(finish_left_behind(now=timezone.now() + timedelta(**passed)))


@pytest.fixture
def being_deleted(alice, alice_api, connect, sandbox):
    """A connection that its owner had deleted while Nango failed."""
    connection_id = connect(alice)
    sandbox.faults(target="nango", match="DELETE /connections/*", status=500)
    assert delete(alice_api, connection_id).status_code == 502
    return connection_id


def test_a_deletion_after_an_open_creation_is_written_down_once(alice, alice_api, sandbox):
    sandbox.faults(target="nango", match="POST /connections", drop="after", times=2)
    assert create(alice_api).status_code == 502

    assert delete(alice_api).json() == {"ok": True}
    assert at_nango(sandbox, "main") is None
    assert delete(alice_api).json() == {"error": "Connection not found"}
    # What was cut may still arrive, so the address is kept until then.
    assert later(seconds=50) == {"confirmed": 0, "released": 0, "deleted": 0}
    assert Connection.objects.get().deleted_at is not None

    assert later(seconds=70) == {"confirmed": 0, "released": 0, "deleted": 1}
    assert not Connection.objects.exists()
    assert trail("connection.deleted") == ["main"]
    assert AuditEvent.objects.get(action="connection.deleted").actor_id == alice.pk


def test_what_arrives_after_its_deletion_is_deleted_without_another_row(alice, alice_api, connect, sandbox):
    own(alice, "main", state=State.CLAIMING, claim="00000000-0000-4000-8000-00000000000a", claimed_at=timezone.now())
    assert delete(alice_api).json() == {"ok": True}
    connect(alice, connection_id="main")

    assert listed(alice_api) == []
    assert later(seconds=70)["deleted"] == 1
    assert at_nango(sandbox, "main") is None
    assert trail("connection.deleted") == ["main"]


def test_a_deletion_that_another_creation_finds_done_is_written_down(alice_api, charlie_api, sandbox):
    create(alice_api)
    sandbox.faults(target="nango", match="DELETE /connections/*", drop="after", times=2)
    assert delete(alice_api).status_code == 502
    Connection.objects.update(claimed_at=timezone.now() - timedelta(minutes=2))

    assert create(charlie_api).status_code == 200
    assert trail("connection.deleted") == ["main"]


def test_a_deletion_that_failed_is_done_by_the_next_run(alice_api, being_deleted, sandbox):
    assert later(seconds=10) == {"confirmed": 0, "released": 0, "deleted": 1}
    assert at_nango(sandbox, being_deleted) is None
    assert not Connection.objects.exists()
    assert trail("connection.deleted") == [being_deleted]


@pytest.mark.parametrize("made", [True, False])
def test_an_open_creation_is_settled_as_soon_as_nothing_can_arrive(alice, connect, sandbox, made):
    own(alice, "main", state=State.CLAIMING, claimed_at=timezone.now())
    if made:
        connect(alice, connection_id="main")

    assert later(seconds=50) == {"confirmed": 0, "released": 0, "deleted": 0}
    assert later(seconds=70) == {"confirmed": int(made), "released": int(not made), "deleted": 0}
    assert list(Connection.objects.values_list("state", flat=True)) == [State.ACTIVE] * made
    assert trail("connection.confirmed") == ["main"] * made


def test_a_claim_on_anothers_connection_is_given_up(alice, charlie, connect):
    own(alice, "main", state=State.CLAIMING, claimed_at=timezone.now())
    connect(charlie, connection_id="main")

    assert later(seconds=70)["released"] == 1
    assert not Connection.objects.exists()


def test_it_begins_with_what_waits_longest(alice, sandbox):
    for minutes in (2, 9, 5):
        own(alice, f"{minutes}", state=State.DELETING, claimed_at=timezone.now() - timedelta(minutes=minutes))
    finish_left_behind(now=timezone.now(), most=2)

    assert Connection.objects.get().connection_id == "2"


def test_one_that_fails_waits_ever_longer_and_keeps_nobody_waiting(alice, connect, sandbox, being_deleted):
    for number in range(2):
        own(alice, connect(alice, connection_id=f"other-{number}"), state=State.DELETING, claimed_at=timezone.now())
    sandbox.faults(target="nango", match=f"DELETE /connections/{being_deleted}", status=500, times=0)

    assert later(seconds=61)["deleted"] == 2
    pauses = []
    for _ in range(7):
        due = Connection.objects.get().try_again_at
        assert finish_left_behind(now=due - timedelta(seconds=1)).deleted == 0
        finish_left_behind(now=due)
        pauses.append(round((Connection.objects.get().try_again_at - due).total_seconds()))
    assert pauses == [30, 60, 120, 240, 300, 300, 300]


def test_a_rate_limit_ends_the_run_and_counts_against_nobody(alice, sandbox, being_deleted):
    sandbox.faults(target="nango", match="GET /connections", status=429, headers={"Retry-After": "1"})

    assert later(seconds=10)["deleted"] == 0
    assert Connection.objects.get().try_again_at is None


def test_when_nango_is_down_one_call_finds_out(alice, sandbox, calls):
    for number in range(4):
        own(alice, f"{number}", state=State.DELETING)
    sandbox.faults(target="nango", match="GET /connections", drop="before", times=0)
    finish_left_behind(now=timezone.now())

    assert calls() == ["GET /connections"] * 2
    assert Connection.objects.filter(failures=1).count() == 1


def test_with_nothing_to_do_nobody_is_asked(alice, connect, calls, django_assert_num_queries):
    own(alice, "main")
    with django_assert_num_queries(1):
        finish_left_behind(now=timezone.now())

    assert calls() == []


def test_a_deletion_that_does_not_get_done_is_told_to_its_owner(alice_api, being_deleted):
    assert listed(alice_api) == []
    Connection.objects.update(deleting_since=timezone.now() - timedelta(minutes=6))

    (shown,) = listed(alice_api)
    assert shown["connection_id"] == being_deleted
    assert shown["errors"] == [{"type": "deletion", "log_id": ""}]
    assert alice_api.get("/api/credentials/acme", connection_id=being_deleted).status_code == 404


def test_a_deletion_that_does_not_get_done_is_told_to_operators(being_deleted):
    browser = browser_of(make_operator())
    assert browser.get("/admin/").context["troubled"] == []
    Connection.objects.update(deleting_since=timezone.now() - timedelta(minutes=6))

    page = browser.get("/admin/")
    assert [row.connection_id for row in page.context["troubled"]] == [being_deleted]
    assert "not deleted yet" in page.content.decode()
    assert "not deleted yet" in browser.get("/admin/integrations/connection/", {"attention": "yes"}).content.decode()


def test_asking_again_does_not_begin_the_waiting_anew(alice_api, being_deleted, sandbox):
    began = Connection.objects.get().deleting_since
    sandbox.faults(target="nango", match="DELETE /connections/*", status=500)
    assert delete(alice_api, being_deleted).status_code == 502

    assert Connection.objects.get().deleting_since == began


def test_a_reconciliation_that_meets_the_rate_limit_comes_again_when_nango_says(sandbox):
    sandbox.faults(target="nango", match="GET /connections", status=429, headers={"Retry-After": "40"})
    before = timezone.now()
    tasks.reconcile()

    (job,) = ProcrastinateJob.objects.filter(task_name="integrations.reconcile")
    assert 39 <= (job.scheduled_at - before).total_seconds() <= 42
