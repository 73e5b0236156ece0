"""GET /api/integrations/{integration_id}/connections."""

import pytest
import urllib3

from integrations.models import Connection
from integrations.sources.nango import Nango
from tests.integrations.conftest import own

State = Connection.State


def listed(api, integration="acme"):
    return api.get(f"/api/integrations/{integration}/connections")


def ids(api, integration="acme"):
    answer = listed(api, integration)
    assert answer.status_code == 200, answer.content
    return [item["connection_id"] for item in answer.json()["data"]]


def test_it_lists_the_callers_connections_newest_first(alice, alice_api, connect):
    connect(alice, connection_id="older", created="2026-01-02T03:04:05.481000+00:00", metadata={"team": "a"})
    connect(
        alice, connection_id="newer", created="2026-01-03T03:04:05+00:00", errors=[{"type": "auth", "log_id": "l1"}]
    )

    answer = listed(alice_api)

    assert answer.status_code == 200
    newer, older = answer.json()["data"]
    assert older == {
        "connection_id": "older",
        "provider_config_key": "acme",
        "provider": "private-api-generic",
        "created_at": "2026-01-02T03:04:05.481000+00:00",
        "created": "2026-01-02T03:04:05.481000+00:00",
        "errors": [],
        "metadata": {"team": "a"},
    }
    assert newer["connection_id"] == "newer"
    assert newer["errors"] == [{"type": "auth", "log_id": "l1"}]


def test_nobody_elses_are_listed_or_downloaded(alice, charlie, charlie_api, connect, sandbox):
    connect(alice)
    connect(charlie, connection_id="mine")

    assert ids(charlie_api) == ["mine"]
    (question,) = sandbox.requests("nango")
    assert f"tags[end_user_id]={charlie.pk}&integrationId=acme" in question["query"]


def test_other_integrations_are_not_listed(alice, alice_api, connect):
    connect(alice, "postgres")

    assert ids(alice_api, "acme") == []


def test_an_unknown_integration_has_no_connections(alice_api, sandbox):
    assert ids(alice_api, "no-such-integration") == []


@pytest.mark.parametrize("integration", ["acme%2Cpostgres", "acme%3Flimit%3D1%23", "%00", "a" * 256, "caf%C3%A9"])
def test_an_integration_that_cannot_be_never_reaches_nango(alice_api, calls, integration):
    answer = listed(alice_api, integration)

    assert answer.status_code == 404
    assert answer.json() == {"error": "Integration not found"}
    assert calls() == []


def test_an_id_with_a_slash_is_not_found_as_json(alice_api, calls):
    answer = listed(alice_api, "a%2Fb")

    assert answer.status_code == 404
    assert set(answer.json()) == {"error"}
    assert calls() == []


def test_it_remembers_whose_they_are(alice, alice_api, connect):
    connection_id = connect(alice)
    listed(alice_api)

    row = Connection.objects.get()
    assert (row.owner, row.integration_id, row.connection_id) == (alice, "acme", connection_id)
    assert row.organization == alice.personal_organization
    assert (row.state, row.provider) == (State.ACTIVE, "private-api-generic")


def test_what_is_recorded_for_another_is_hidden(alice, charlie, charlie_api, connect):
    connection_id = connect(charlie)
    own(alice, connection_id)

    assert ids(charlie_api) == []
    assert Connection.objects.get().owner == alice


def test_what_is_being_deleted_is_hidden(alice, alice_api, connect):
    own(alice, connect(alice), state=State.DELETING)

    assert ids(alice_api) == []


def test_a_claim_whose_connection_is_there_becomes_active(alice, alice_api, connect):
    connection_id = connect(alice)
    own(alice, connection_id, state=State.CLAIMING)

    assert ids(alice_api) == [connection_id]
    assert Connection.objects.get().state == State.ACTIVE


def test_what_is_gone_is_marked_and_comes_back(alice, alice_api, connect):
    own(alice, "main")

    assert ids(alice_api) == []
    assert Connection.objects.get().missing_since is not None
    connect(alice, connection_id="main")
    assert ids(alice_api) == ["main"]
    assert Connection.objects.get().missing_since is None


def test_broken_ones_are_marked_for_operators(alice, alice_api, connect, sandbox):
    connection_id = connect(alice, errors=[{"type": "auth", "log_id": "l1"}])
    listed(alice_api)
    assert Connection.objects.get().needs_reconnect

    sandbox.change_connection("acme", connection_id, errors=[])
    listed(alice_api)
    assert not Connection.objects.get().needs_reconnect


def test_what_becomes_of_one_is_noted_of_that_one(alice, alice_api, connect):
    own(alice, "gone")
    own(alice, connect(alice, connection_id="broken", errors=[{"type": "auth", "log_id": "l1"}]))
    own(alice, connect(alice, connection_id="whole"))
    listed(alice_api)

    noted = {
        row.connection_id: (row.missing_since is not None, row.needs_reconnect) for row in Connection.objects.all()
    }
    assert noted == {"broken": (False, True), "gone": (True, False), "whole": (False, False)}


def test_a_failed_synchronisation_needs_no_reconnect(alice, alice_api, connect):
    connect(alice, errors=[{"type": "sync", "log_id": "l1"}])
    listed(alice_api)

    assert not Connection.objects.get().needs_reconnect


def test_many_take_as_few_queries_as_one(alice, alice_api, connect, sandbox, django_assert_num_queries, calls):
    connect(alice)
    ids(alice_api)
    with django_assert_num_queries(2):
        ids(alice_api)

    sandbox.seed(integration="acme", tags={"end_user_id": str(alice.pk)}, count=50)
    # Principal, rows, known, savepoint, insert, what was inserted, audit trail, release, rows.
    with django_assert_num_queries(9):
        assert len(ids(alice_api)) == 51
    with django_assert_num_queries(2):
        ids(alice_api)
    assert calls() == ["GET /connections"] * 4


def test_all_pages_are_fetched(alice, sandbox):
    made = sandbox.seed(integration="acme", tags={"end_user_id": str(alice.pk)}, count=7)
    nango = Nango(base_url=sandbox.nango_url, secret_key="00000000-0000-4000-8000-000000000001", page_size=3)

    found = nango.list_connections(owner=str(alice.pk), integration_id="acme")

    assert {item.connection_id for item in found} == set(made)
    assert len(sandbox.requests("nango")) == 3


def test_an_owner_of_nothing_lists_nothing(sandbox, calls):
    sandbox.seed(integration="acme")

    assert Nango.from_settings().list_connections(owner="") == ()
    assert calls() == []


def test_it_does_not_trust_the_filter_alone(alice, charlie, charlie_api, connect, sandbox):
    """Nango ignoring the filter must not show what is another's."""
    connect(alice)
    body = {
        "connections": [
            {
                "connection_id": "x",
                "provider_config_key": "acme",
                "provider": "p",
                "errors": [],
                "tags": {"end_user_id": str(alice.pk)},
                "end_user": {"id": str(charlie.pk)},
                "metadata": None,
                "created": "2026-01-02T03:04:05Z",
            }
        ]
    }
    sandbox.faults(target="nango", match="GET /connections", body=body)

    assert ids(charlie_api) == []
    assert not Connection.objects.exists()


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 400, "body": {"error": {"code": "invalid_query_params"}}},
        {"body": "<html></html>"},
        {"body": {"connections": None}},
        {"body": {"connections": [{"connection_id": "x"}]}},
        {"drop": "before", "times": 2},
    ],
)
def test_garbage_is_a_failure_and_never_an_empty_list(alice, alice_api, sandbox, fault):
    own(alice, "x")
    sandbox.faults(target="nango", match="GET /connections", **fault)

    assert listed(alice_api).status_code == 502
    assert Connection.objects.get().missing_since is None


def test_a_rate_limit_is_a_503_that_says_how_long(alice_api, sandbox, calls, settings):
    sandbox.settings(rate_limit_per_minute=10)
    # All programs with a key of the account share the limit, so it may be used up before we learn of it.
    key = {"Authorization": f"Bearer {settings.NANGO_SECRET_KEY}"}
    for _ in range(10):
        assert urllib3.request("GET", f"{sandbox.nango_url}/integrations", headers=key).status == 200

    answers = [listed(alice_api) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [503, 503, 503]
    assert 1 <= int(answers[0]["Retry-After"]) <= 60
    assert len(calls()) == 11
