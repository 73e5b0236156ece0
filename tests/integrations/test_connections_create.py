"""POST /api/connections/create."""

import json
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import AuditEvent
from integrations.models import Connection
from tests.integrations.conftest import at_nango, own

PATH = "/api/connections/create"
TAKEN = {"error": "This connection id is already in use. Choose another one."}
State = Connection.State


def create(api, connection_id="main", integration="acme", **fields):
    body = {"integration_id": integration, "connection_id": connection_id, "credentials": {"apiKey": "alices-key"}}
    return api.post(PATH, body | fields)


def test_it_makes_one_with_an_api_key(alice, alice_api, sandbox):
    answer = create(alice_api, connection_config={"region": "eu"})

    assert answer.status_code == 200
    assert answer.json() == {"data": {"connection_id": "main"}}
    held = at_nango(sandbox, "main")
    assert held is not None
    assert held["credentials"] == {"type": "API_KEY", "apiKey": "alices-key"}
    assert held["connection_config"] == {"region": "eu"}
    assert held["tags"] == {
        "end_user_id": str(alice.pk),
        "organization_id": str(alice.personal_organization.pk),
        "end_user_display_name": "Alice",
        "end_user_email": "alice@example.com",
    }
    row = Connection.objects.get()
    assert (row.owner, row.organization, row.state, row.claim) == (
        alice,
        alice.personal_organization,
        State.ACTIVE,
        None,
    )


@pytest.mark.parametrize("credentials", [{"username": "u", "password": "p"}, {"username": "", "password": " p "}])
def test_it_makes_one_with_a_user_name_and_a_password(alice_api, sandbox, credentials):
    answer = create(alice_api, integration="postgres", credentials=credentials)

    assert answer.status_code == 200
    held = at_nango(sandbox, "main", "postgres")
    assert held is not None
    assert held["credentials"] == {"type": "BASIC", **credentials}


def test_it_is_written_into_the_audit_trail_without_secrets(alice, alice_api, sandbox, caplog):
    caplog.set_level("DEBUG")
    create(alice_api)

    event = AuditEvent.objects.get(action="connection.created")
    assert event.actor_id == alice.pk
    assert event.details == {"integration_id": "acme", "connection_id": "main"}
    assert "alices-key" not in caplog.text + json.dumps(list(AuditEvent.objects.values()), default=str)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "integration_id: This field is required."),
        ({"integration_id": "acme"}, "connection_id: This field is required."),
        ({"integration_id": "acme", "connection_id": "x"}, "credentials: This field is required."),
        ({"integration_id": "a/b", "connection_id": "x", "credentials": {"apiKey": "k"}},
         "integration_id: Use letters, digits, spaces and ~ : . @ _ - only."),
        ({"integration_id": "acme", "connection_id": "..", "credentials": {"apiKey": "k"}},
         "connection_id: This is not a connection id."),
        ({"integration_id": "acme", "connection_id": "x" * 256, "credentials": {"apiKey": "k"}},
         "connection_id: This is not a connection id."),
        ({"integration_id": "acme", "connection_id": 7, "credentials": {"apiKey": "k"}},
         "connection_id: Not a valid string."),
        ({"integration_id": "acme", "connection_id": "x", "credentials": "k"},
         "credentials: Invalid data. Expected a dictionary, but got str."),
        ({"integration_id": "acme", "connection_id": "x", "credentials": {}},
         "credentials: Give either username and password, or apiKey."),
        ({"integration_id": "acme", "connection_id": "x", "credentials": {"username": "u"}},
         "credentials: Give either username and password, or apiKey."),
        ({"integration_id": "acme", "connection_id": "x",
          "credentials": {"username": "u", "password": "p", "apiKey": "k"}},
         "credentials: Give either username and password, or apiKey."),
        ({"integration_id": "acme", "connection_id": "x", "credentials": {"apiKey": ""}},
         "credentials.apiKey: This field may not be blank."),
        ({"integration_id": "acme", "connection_id": "x", "credentials": {"apiKey": "k\0"}},
         "credentials.apiKey: Null characters are not allowed."),
        ({"integration_id": "acme", "connection_id": "x", "credentials": {"apiKey": "k" * 1025}},
         "credentials.apiKey: Ensure this field has no more than 1024 characters."),
        ({"integration_id": "acme", "connection_id": "x", "credentials": {"apiKey": "k"}, "connection_config": []},
         'connection_config: Expected a dictionary of items but got type "list".'),
        ({"integration_id": "acme", "connection_id": "x", "credentials": {"apiKey": "k"},
          "connection_config": {"a": {"b": "\0"}}},
         "connection_config: Null characters are not allowed."),
    ],
)  # fmt: skip
def test_a_malformed_body_is_refused(alice_api, calls, body, sentence):
    answer = alice_api.post(PATH, body)

    assert answer.status_code == 400
    assert answer.json() == {"error": sentence}
    assert calls() == []


def test_the_wrong_kind_of_credentials_is_refused_and_leaves_nothing(alice_api, sandbox):
    answer = create(alice_api, integration="postgres")

    assert answer.status_code == 400
    assert answer.json() == {"error": "The integration does not take these credentials or this connection_config."}
    assert not Connection.objects.exists()


def test_credentials_that_the_service_refuses_leave_nothing(alice_api, sandbox):
    sandbox.settings(refused_credentials=["alices-key"])

    answer = create(alice_api)

    assert answer.status_code == 400
    assert answer.json() == {"error": "The service did not accept these credentials. Check them and try again."}
    assert not Connection.objects.exists()


def test_an_unknown_integration_is_not_found_and_leaves_nothing(alice_api, sandbox):
    answer = create(alice_api, integration="no-such")

    assert answer.status_code == 404
    assert answer.json() == {"error": "Integration not found"}
    assert not Connection.objects.exists()


def test_a_used_up_plan_is_the_operators_matter(alice_api, sandbox):
    sandbox.faults(target="nango", match="POST /connections", status=400, body={"error": {"code": "resource_capped"}})

    assert create(alice_api).status_code == 503
    assert not Connection.objects.exists()


def test_an_own_one_gets_new_credentials(alice, alice_api, sandbox):
    create(alice_api)
    Connection.objects.update(needs_reconnect=True)

    answer = create(alice_api, credentials={"apiKey": "new-key"})

    assert answer.status_code == 200
    held = at_nango(sandbox, "main")
    assert held is not None
    assert held["credentials"]["apiKey"] == "new-key"
    assert held["tags"]["end_user_id"] == str(alice.pk)
    assert not Connection.objects.get().needs_reconnect
    assert AuditEvent.objects.filter(action="connection.replaced").count() == 1


def test_an_own_one_that_we_did_not_know_gets_new_credentials(alice, alice_api, connect, sandbox):
    connect(alice, connection_id="main")

    assert create(alice_api).status_code == 200
    assert Connection.objects.get().owner == alice


@pytest.mark.parametrize("recorded", [True, False])
def test_anothers_id_is_taken(alice, charlie_api, connect, sandbox, recorded):
    connect(alice, connection_id="main")
    if recorded:
        own(alice, "main")

    answer = create(charlie_api)

    assert answer.status_code == 409
    assert answer.json() == TAKEN
    held = at_nango(sandbox, "main")
    assert held is not None
    assert held["credentials"]["apiKey"] == "sandbox-acme-key"
    assert held["tags"]["end_user_id"] == str(alice.pk)
    assert not Connection.objects.exclude(owner=alice).exists()


def test_nobodys_id_is_taken_too(alice_api, sandbox):
    sandbox.seed(integration="acme", connection_id="main")

    assert create(alice_api).json() == TAKEN
    assert not Connection.objects.exists()


def test_an_own_record_does_not_take_over_what_became_anothers(alice, charlie, alice_api, connect, sandbox):
    own(alice, "main")
    connect(charlie, connection_id="main")

    assert create(alice_api).json() == TAKEN
    held = at_nango(sandbox, "main")
    assert held is not None
    assert held["tags"]["end_user_id"] == str(charlie.pk)


def test_the_same_id_under_another_integration_is_free(alice, charlie_api, connect, sandbox):
    own(alice, connect(alice, connection_id="main"))

    answer = create(charlie_api, integration="postgres", credentials={"username": "u", "password": "p"})

    assert answer.status_code == 200


def test_an_own_one_that_is_being_deleted_is_not_made_again(alice, alice_api, sandbox):
    own(alice, "main", state=State.DELETING)

    answer = create(alice_api)

    assert answer.status_code == 409
    assert answer.json() == {"error": "This connection is being deleted. Delete it once more, then create it."}


@pytest.mark.parametrize("trap", ["main?provider_config_key=postgres#", "a/../b", "a,b", "é\"'@ "])
def test_an_id_reaches_nango_whole(alice_api, sandbox, trap):
    assert create(alice_api, trap).json() == {"data": {"connection_id": trap}}
    assert at_nango(sandbox, trap) is not None


# --- Races and crashes -------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("_round", range(3))
def test_of_two_people_who_want_one_id_at_once_one_gets_it(_round, alice, bob, alice_api, bob_api, sandbox):
    people = {"alice": (alice, alice_api), "bob": (bob, bob_api)}
    barrier, answers = threading.Barrier(2), {}
    sandbox.faults(target="nango", match="GET /connections", delay=0.2, times=0)

    def attempt(name):
        try:
            barrier.wait()
            answers[name] = create(people[name][1], credentials={"apiKey": f"{name}s-key"})
        finally:
            connection.close()

    threads = [threading.Thread(target=attempt, args=[name]) for name in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    won = [name for name, answer in answers.items() if answer.status_code == 200]
    lost = [answer for answer in answers.values() if answer.status_code != 200]
    assert len(won) == 1
    assert [(answer.status_code, answer.json()) for answer in lost] == [(409, TAKEN)]
    held = at_nango(sandbox, "main")
    assert held is not None
    assert held["credentials"]["apiKey"] == f"{won[0]}s-key"
    assert held["tags"]["end_user_id"] == str(people[won[0]][0].pk)
    assert Connection.objects.get().owner == people[won[0]][0]


@pytest.mark.django_db(transaction=True)
def test_the_same_person_may_try_eight_times_at_once(alice, alice_api, sandbox):
    barrier, statuses = threading.Barrier(8), []

    def attempt():
        try:
            barrier.wait()
            statuses.append(create(alice_api).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == [200] * 8
    assert Connection.objects.get().state == State.ACTIVE


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"drop": "after", "times": 2}, 502),
        ({"status": 500}, 502),
        ({"status": 201, "body": "<html></html>"}, 502),
    ],
)
def test_when_it_is_open_whether_it_was_made_the_same_person_can_settle_it(
    alice, alice_api, charlie_api, sandbox, fault, status
):
    sandbox.faults(target="nango", match="POST /connections", **fault)

    assert create(alice_api).status_code == status
    assert Connection.objects.get().state == State.CLAIMING
    assert create(charlie_api).json() == TAKEN
    assert create(alice_api).status_code == 200
    assert Connection.objects.get().state == State.ACTIVE


def test_a_cut_after_the_change_is_tried_once_more(alice_api, sandbox):
    sandbox.faults(target="nango", match="POST /connections", drop="after")

    assert create(alice_api).status_code == 200
    assert Connection.objects.get().state == State.ACTIVE


@pytest.mark.parametrize(
    ("match", "fault", "status"),
    [
        ("POST /connections", {"status": 429}, 503),
        ("POST /connections", {"status": 403}, 503),
        ("GET /connections", {"status": 500}, 502),
        ("GET /connections", {"drop": "before", "times": 2}, 502),
    ],
)
def test_when_nothing_was_made_the_id_is_free_again(alice_api, sandbox, match, fault, status):
    sandbox.faults(target="nango", match=match, **fault)

    assert create(alice_api).status_code == status
    assert not Connection.objects.exists()


def test_a_failed_update_leaves_the_connection_as_it_is(alice, alice_api, sandbox):
    create(alice_api)
    sandbox.settings(refused_credentials=["bad-key"])

    assert create(alice_api, credentials={"apiKey": "bad-key"}).status_code == 400
    assert Connection.objects.get().state == State.ACTIVE


def claimed(person, *, minutes):
    return own(person, "main", state=State.CLAIMING, claimed_at=timezone.now() - timedelta(minutes=minutes))


def test_a_fresh_claim_keeps_others_away(alice, charlie_api, calls):
    claimed(alice, minutes=1)

    assert create(charlie_api).json() == TAKEN
    assert calls() == []


def test_a_stale_claim_of_which_nango_has_nothing_is_released(alice, charlie, charlie_api, sandbox):
    claimed(alice, minutes=3)

    assert create(charlie_api).status_code == 200
    assert Connection.objects.get().owner == charlie


def test_a_stale_claim_that_was_made_stays_its_makers(alice, charlie_api, connect):
    claimed(alice, minutes=3)
    connect(alice, connection_id="main")

    assert create(charlie_api).json() == TAKEN
    assert Connection.objects.get().owner == alice


def test_thirty_a_minute_are_enough(alice_api, sandbox):
    answers = [create(alice_api, f"c-{number}", credentials={"apiKey": "k"}).status_code for number in range(31)]

    assert answers == [200] * 30 + [429]
