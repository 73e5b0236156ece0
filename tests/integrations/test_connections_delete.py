"""POST /api/connections/delete."""

import pytest

from accounts.models import AuditEvent
from integrations.models import Connection
from tests.integrations.conftest import at_nango, own

PATH = "/api/connections/delete"
NOT_FOUND = b'{"error":"Connection not found"}'
State = Connection.State


def delete(api, connection_id, integration="acme"):
    return api.post(PATH, {"integration_id": integration, "connection_id": connection_id})


@pytest.mark.parametrize("recorded", [True, False])
def test_it_deletes_here_and_at_nango(alice, alice_api, connect, sandbox, recorded):
    connection_id = connect(alice)
    if recorded:
        own(alice, connection_id)

    answer = delete(alice_api, connection_id)

    assert answer.status_code == 200
    assert answer.json() == {"ok": True}
    assert at_nango(sandbox, connection_id) is None
    assert not Connection.objects.exists()
    event = AuditEvent.objects.get(action="connection.deleted")
    assert (event.actor_id, event.details) == (alice.pk, {"integration_id": "acme", "connection_id": connection_id})


def test_a_second_time_there_is_nothing(alice, alice_api, connect):
    connection_id = connect(alice)
    delete(alice_api, connection_id)

    answer = delete(alice_api, connection_id)

    assert answer.status_code == 404
    assert answer.content == NOT_FOUND


@pytest.mark.parametrize("recorded", [True, False])
def test_nobody_deletes_what_is_not_theirs(alice, charlie_api, connect, sandbox, calls, recorded):
    connection_id = connect(alice)
    if recorded:
        own(alice, connection_id)

    strange, absent = delete(charlie_api, connection_id), delete(charlie_api, "no-such")

    assert strange.status_code == absent.status_code == 404
    assert strange.content == absent.content == NOT_FOUND
    assert at_nango(sandbox, connection_id) is not None
    assert set(calls()) == {"GET /connections"}


def test_what_bears_anothers_tags_is_not_deleted(alice, charlie, alice_api, connect, sandbox):
    connection_id = connect(charlie)
    own(alice, connection_id)

    assert delete(alice_api, connection_id).content == NOT_FOUND
    assert at_nango(sandbox, connection_id) is not None
    assert not Connection.objects.exists()


def test_what_is_gone_at_nango_is_deleted_here(alice, alice_api, sandbox):
    own(alice, "gone")

    assert delete(alice_api, "gone").json() == {"ok": True}
    assert not Connection.objects.exists()


def test_what_vanishes_meanwhile_is_deleted(alice, alice_api, connect, sandbox):
    connection_id = connect(alice)
    sandbox.faults(
        target="nango", match="DELETE /connections/*", status=400, body={"error": {"code": "unknown_connection"}}
    )

    assert delete(alice_api, connection_id).json() == {"ok": True}
    assert not Connection.objects.exists()


@pytest.mark.parametrize("trap", ["mine/../other", "mine/"])
def test_an_id_deletes_that_very_connection(alice, bob, alice_api, connect, sandbox, trap):
    connect(alice, "acme", connection_id=trap)
    connect(bob, "postgres", connection_id="mine")
    connect(bob, "acme", connection_id="mine")
    connect(bob, "acme", connection_id="other")

    assert delete(alice_api, trap).json() == {"ok": True}
    left = {(held["provider_config_key"], held["connection_id"]) for held in _held(sandbox)}
    assert left == {("postgres", "mine"), ("acme", "mine"), ("acme", "other")}


@pytest.mark.parametrize("connection_id", [".", "..", "a\0", "", 7, None])
def test_a_connection_id_that_cannot_be_is_refused(alice_api, calls, connection_id):
    answer = delete(alice_api, connection_id)

    assert answer.status_code == 400
    assert answer.json()["error"].startswith("connection_id: ")
    assert calls() == []


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"status": 500}, 502),
        ({"status": 404, "body": "<html>no such page</html>"}, 502),
        ({"body": {"success": False}}, 502),
        ({"body": "<html>dashboard</html>"}, 502),
        ({"drop": "before", "times": 2}, 502),
        ({"status": 401}, 503),
    ],
)
def test_a_failed_deletion_is_hidden_and_can_be_finished(alice, alice_api, connect, sandbox, fault, status):
    connection_id = connect(alice)
    sandbox.faults(target="nango", match="DELETE /connections/*", **fault)

    failed = delete(alice_api, connection_id)

    assert failed.status_code == status
    assert Connection.objects.get().state == State.DELETING
    assert alice_api.get("/api/integrations/acme/connections").json() == {"data": []}
    assert alice_api.get("/api/credentials/acme", connection_id=connection_id).content == NOT_FOUND
    assert delete(alice_api, connection_id).json() == {"ok": True}
    assert at_nango(sandbox, connection_id) is None
    assert alice_api.get("/api/credentials/acme", connection_id=connection_id).content == NOT_FOUND
    # What was cut may still arrive at Nango, so the address is kept from others for a while.
    assert Connection.objects.exists() == ("drop" in fault)


def test_a_cut_after_the_change_still_deletes(alice, alice_api, connect, sandbox):
    connection_id = connect(alice)
    sandbox.faults(target="nango", match="DELETE /connections/*", drop="after")

    assert delete(alice_api, connection_id).json() == {"ok": True}
    assert not Connection.objects.exists()


def test_both_answers_lost_is_finished_by_calling_again(alice, alice_api, connect, sandbox):
    connection_id = connect(alice)
    sandbox.faults(target="nango", match="DELETE /connections/*", drop="after", times=2)

    assert delete(alice_api, connection_id).status_code == 502
    assert delete(alice_api, connection_id).json() == {"ok": True}


def _held(sandbox):
    return sandbox.state()["nango"]["connections"].values()
