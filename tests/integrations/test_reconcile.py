"""manage.py reconcile_connections."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import AuditEvent
from integrations.models import Connection
from integrations.sources.nango import client
from tests.integrations.conftest import at_nango, own

State = Connection.State
pytestmark = pytest.mark.django_db


def reconcile():
    printed = StringIO()
    call_command("reconcile_connections", stdout=printed)
    counts = dict(line.split(": ") for line in printed.getvalue().splitlines())
    return {name: int(count) for name, count in counts.items() if count != "0"}


def test_it_adopts_what_bears_a_persons_tags(alice, bob, connect, sandbox):
    connect(alice, connection_id="a")
    connect(bob, "slack", connection_id="b", errors=[{"type": "auth", "log_id": "l"}])
    sandbox.seed(integration="acme")
    sandbox.seed(integration="acme", tags={"end_user_id": "nobody"})

    assert reconcile() == {"seen": 4, "adopted": 2, "unowned": 2}
    assert set(Connection.objects.values_list("owner", "integration_id", "connection_id", "needs_reconnect")) == {
        (alice.pk, "acme", "a", False),
        (bob.pk, "slack", "b", True),
    }


def test_a_second_run_has_nothing_to_do(alice, connect):
    connect(alice)
    reconcile()

    assert reconcile() == {"seen": 1}


def test_it_reads_no_credentials_and_asks_page_by_page(alice, connect, sandbox, calls, monkeypatch):
    monkeypatch.setattr(client.Nango.__init__, "__kwdefaults__", {"budget": 5.0, "page_size": 10})
    sandbox.seed(integration="acme", tags={"end_user_id": str(alice.pk)}, count=25)

    assert reconcile() == {"seen": 25, "adopted": 25}
    assert calls() == ["GET /connections"] * 3


def test_a_page_takes_few_queries(alice, sandbox, django_assert_max_num_queries):
    sandbox.seed(integration="acme", tags={"end_user_id": str(alice.pk)}, count=200)

    with django_assert_max_num_queries(14):
        reconcile()


def test_what_is_gone_is_marked_and_dropped_the_next_time(alice, sandbox):
    own(alice, "gone")

    assert reconcile() == {"missing": 1}
    assert Connection.objects.get().missing_since is not None
    assert reconcile() == {"dropped": 1}
    assert not Connection.objects.exists()
    assert AuditEvent.objects.get().action == "connection.dropped"


def test_what_comes_back_is_unmarked(alice, connect):
    own(alice, "main", missing_since=timezone.now())
    connect(alice, connection_id="main")

    assert reconcile() == {"seen": 1}
    assert Connection.objects.get().missing_since is None


def test_what_was_made_meanwhile_is_left_alone(alice, sandbox):
    own(alice, "new", confirmed_at=timezone.now() + timedelta(seconds=30))

    assert reconcile() == {}


def test_a_claim_in_flight_is_left_alone(alice, connect, sandbox):
    own(alice, "flying", state=State.CLAIMING, claimed_at=timezone.now() - timedelta(seconds=50))
    own(alice, "landed", state=State.CLAIMING, claimed_at=timezone.now() - timedelta(seconds=50))
    connect(alice, connection_id="landed")

    assert reconcile() == {"seen": 1}
    assert set(Connection.objects.values_list("state", flat=True)) == {State.CLAIMING}


def test_a_stale_claim_is_settled(alice, connect):
    stale = timezone.now() - timedelta(minutes=3)
    own(alice, "made", state=State.CLAIMING, claimed_at=stale)
    own(alice, "never-made", state=State.CLAIMING, claimed_at=stale)
    connect(alice, connection_id="made")

    assert reconcile() == {"seen": 1, "released": 1}
    row = Connection.objects.get()
    assert (row.connection_id, row.state) == ("made", State.ACTIVE)


def test_it_finishes_deletions(alice, connect, sandbox):
    own(alice, connect(alice, connection_id="half"), state=State.DELETING)
    own(alice, "gone", state=State.DELETING)

    assert reconcile() == {"seen": 1, "deleted": 2}
    assert at_nango(sandbox, "half") is None
    assert not Connection.objects.exists()


def test_a_deletion_that_fails_is_counted_and_tried_again(alice, connect, sandbox):
    own(alice, connect(alice), state=State.DELETING)
    sandbox.faults(target="nango", match="DELETE /connections/*", status=500)

    with pytest.raises(CommandError, match="could not be finished"):
        reconcile()
    assert reconcile() == {"seen": 1, "deleted": 1}


@pytest.mark.parametrize("tags", [{}, {"end_user_id": "somebody-else"}])
def test_what_bears_other_tags_is_told_and_kept(alice, sandbox, tags, caplog):
    own(alice, "main")
    sandbox.seed(integration="acme", connection_id="main", tags=tags)

    assert reconcile()["disputed"] == 1
    assert Connection.objects.get().owner == alice
    assert "tags that are not its owner's" in caplog.text


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 401}, {"body": {"connections": "none"}}])
def test_when_nango_fails_nothing_is_dropped(alice, sandbox, fault):
    own(alice, "main", missing_since=timezone.now() - timedelta(days=1))
    sandbox.faults(target="nango", match="GET /connections", **fault)

    with pytest.raises(CommandError):
        reconcile()
    assert Connection.objects.count() == 1
