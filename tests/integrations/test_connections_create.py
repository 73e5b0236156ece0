"""POST /api/connections/create."""

import json

import pytest

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
         "credentials: This must be an object with names and values."),
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
         "connection_config: This must be an object with names and values."),
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
    assert answer.json() == {"error": "This connection is being deleted. Please try again in a minute."}


@pytest.mark.parametrize("trap", ["a/../b", "a,b", "a\"'@ "])
def test_an_id_reaches_nango_whole(alice_api, sandbox, trap):
    assert create(alice_api, trap).json() == {"data": {"connection_id": trap}}
    assert at_nango(sandbox, trap) is not None
