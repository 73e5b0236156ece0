"""GET /api/credentials/{integration_id}."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.models import Connection
from tests.integrations.conftest import at_nango, own

NOT_FOUND = {"error": "Connection not found"}
REFUSED = {
    "error": "The service did not renew this connection's credentials: it revoked them, or it is out of order "
    "just now. Try again in a few minutes. If it stays so, reconnect the connection: ask "
    "POST /api/nango/connect-session with its integration_id and connection_id for a link, and open that."
}
RECONNECT = {
    "error": "This connection's credentials no longer work. Reconnect it: ask POST /api/nango/connect-session "
    "with its integration_id and connection_id for a link, and open that."
}


def credentials(api: Any, connection_id: str, integration: str = "acme", **options: Any) -> Any:
    return api.get(f"/api/credentials/{integration}", connection_id=connection_id, **options)


def test_it_gives_an_api_key(alice, alice_api, connect):
    connection_id = connect(alice, connection_config={"region": "eu"})

    answer = credentials(alice_api, connection_id)

    assert answer.status_code == 200
    assert answer.json() == {
        "data": {
            "token": "sandbox-acme-key",
            "connectionConfig": {"region": "eu"},
            "raw": {"type": "API_KEY", "apiKey": "sandbox-acme-key"},
        }
    }
    assert answer["Cache-Control"] == "no-store"


def test_it_gives_an_access_token(alice, alice_api, connect, sandbox):
    connection_id = connect(alice, "salesforce")

    data = credentials(alice_api, connection_id, "salesforce").json()["data"]

    held = at_nango(sandbox, connection_id, "salesforce")
    assert held is not None
    assert data["token"] == data["raw"]["access_token"] == held["credentials"]["access_token"]
    assert "refresh_token" not in data["raw"]


def test_a_user_name_and_password_have_no_token(alice, alice_api, connect):
    data = credentials(alice_api, connect(alice, "postgres"), "postgres").json()["data"]

    assert data == {
        "token": "",
        "connectionConfig": {},
        "raw": {"type": "BASIC", "username": "sandbox-user", "password": "sandbox-password"},
    }


@pytest.mark.parametrize(
    ("held", "token"),
    [
        ({"access_token": "a", "api_key": "b", "apiKey": "c", "token": "d"}, "a"),
        ({"api_key": "b", "apiKey": "c", "token": "d"}, "b"),
        ({"apiKey": "c", "token": "d"}, "c"),
        ({"token": "d"}, "d"),
        ({"access_token": 7, "token": "d"}, "d"),
        ({"oauth_token": "e"}, ""),
    ],
)
def test_the_token_is_the_first_of_four_names(alice, alice_api, connect, held, token):
    connection_id = connect(alice, credentials={"type": "OAUTH2_CC", **held})

    assert credentials(alice_api, connection_id).json()["data"]["token"] == token


def test_a_strange_connection_looks_like_an_absent_one_and_is_not_read(alice, alice_api, charlie_api, connect, calls):
    connection_id = connect(alice)
    credentials(alice_api, connection_id)
    before = len(calls())

    strange = credentials(charlie_api, connection_id)
    absent = credentials(charlie_api, "no-such-connection")

    assert strange.status_code == absent.status_code == 404
    assert strange.content == absent.content == b'{"error":"Connection not found"}'
    assert calls()[before:] == ["GET /connections", "GET /connections"]


def test_a_strange_connection_that_is_recorded_nowhere_is_not_read(alice, charlie, charlie_api, connect, sandbox):
    connection_id = connect(alice)

    assert credentials(charlie_api, connection_id).json() == NOT_FOUND
    (question,) = sandbox.requests("nango")
    assert f"{question['method']} {question['path']}" == "GET /connections"
    assert question["query"].startswith(
        f"tags[end_user_id]={charlie.pk}&integrationId=acme&connectionId={connection_id}&"
    )
    assert not Connection.objects.exists()


def test_what_nobodys_tags_are_on_belongs_to_nobody(alice_api, sandbox):
    (connection_id,) = sandbox.seed(integration="acme")

    assert credentials(alice_api, connection_id).json() == NOT_FOUND


def test_a_connection_recorded_for_another_stays_theirs_whatever_its_tags_say(alice, charlie, charlie_api, connect):
    connection_id = connect(charlie)
    own(alice, connection_id)

    assert credentials(charlie_api, connection_id).json() == NOT_FOUND
    assert Connection.objects.get().owner == alice


@pytest.mark.parametrize("tags", [{}, {"end_user_id": "somebody-else"}])
def test_no_credential_leaves_when_the_tags_disagree(alice, alice_api, connect, sandbox, tags, caplog):
    connection_id = connect(alice)
    own(alice, connection_id)
    sandbox.change_connection("acme", connection_id, tags=tags)

    answer = credentials(alice_api, connection_id)

    assert answer.status_code == 404
    assert answer.json() == NOT_FOUND
    assert "its tags say otherwise" in caplog.text


def test_an_older_connection_is_known_by_its_end_user(alice, alice_api, sandbox):
    (connection_id,) = sandbox.seed(integration="acme", end_user={"id": str(alice.pk)})

    assert credentials(alice_api, connection_id).status_code == 200


def test_the_tag_wins_over_an_older_end_user(alice, charlie, charlie_api, sandbox):
    (connection_id,) = sandbox.seed(
        integration="acme", end_user={"id": str(charlie.pk)}, tags={"end_user_id": str(alice.pk)}
    )

    assert credentials(charlie_api, connection_id).json() == NOT_FOUND


def test_the_same_id_under_two_integrations_is_two_connections(alice, charlie, alice_api, charlie_api, connect):
    connect(alice, "acme", connection_id="main")
    connect(charlie, "postgres", connection_id="main")

    assert credentials(alice_api, "main", "acme").status_code == 200
    assert credentials(alice_api, "main", "postgres").json() == NOT_FOUND
    assert credentials(charlie_api, "main", "postgres").status_code == 200


@pytest.mark.parametrize("trap", ["mine/../theirs", "mi ne\"'@", "a;b", "{a}[b]|$~", "a\\b=c+d"])
def test_an_id_reaches_nango_whole(alice, alice_api, connect, trap):
    connect(alice, "acme", connection_id=trap)

    assert credentials(alice_api, trap).status_code == 200


def test_an_id_cannot_point_at_another_connection(alice, charlie, charlie_api, connect, calls):
    connect(alice, "postgres", connection_id="x")
    own(charlie, "x?provider_config_key=postgres#")

    assert credentials(charlie_api, "x?provider_config_key=postgres#").json() == NOT_FOUND
    assert calls() == []


@pytest.mark.parametrize("odd", ["a%2Fb", "a?b", "a#b", "caf\u00e9", "a\u200bb"])
def test_an_id_that_nango_cannot_look_up_is_not_there(alice, alice_api, connect, calls, odd):
    connect(alice, connection_id=odd)

    assert credentials(alice_api, odd).json() == NOT_FOUND
    assert calls() == []


@pytest.mark.parametrize("integration", ["acme%3Fx%3D1%23", "%00", "a%2Cb", "caf%C3%A9", "a" * 256, "acme%23"])
def test_an_integration_that_cannot_be_never_reaches_nango(alice_api, calls, integration):
    answer = credentials(alice_api, "x", integration)

    assert answer.status_code == 404
    assert answer.json() == NOT_FOUND
    assert calls() == []


@pytest.mark.parametrize(
    ("connection_id", "problem"),
    [
        ("", "This field may not be blank."),
        (".", "This is not a connection id."),
        ("..", "This is not a connection id."),
        ("a\nb", "This is not a connection id."),
        ("a\0b", "Null characters are not allowed."),
        ("a" * 256, "Ensure this field has no more than 255 characters."),
    ],
)
def test_a_connection_id_that_cannot_be_is_refused(alice_api, calls, connection_id, problem):
    answer = credentials(alice_api, connection_id)

    assert answer.status_code == 400
    assert answer.json() == {"error": f"connection_id: {problem}"}
    assert calls() == []


def test_it_wants_a_connection_id(alice_api, sandbox):
    answer = alice_api.get("/api/credentials/acme")

    assert answer.status_code == 400
    assert answer.json() == {"error": "connection_id: This field is required."}


def test_an_expired_token_asks_for_a_reconnect(alice, alice_api, connect):
    past = (datetime.now(UTC) - timedelta(days=400)).isoformat()
    connection_id = connect(
        alice, "slack", credentials={"type": "OAUTH2", "access_token": "old", "expires_at": past, "raw": {}}
    )

    answer = credentials(alice_api, connection_id, "slack")

    assert answer.status_code == 409
    assert answer.json() == RECONNECT
    assert Connection.objects.get().needs_reconnect


@pytest.mark.parametrize("refresh", ["rejected", "exhausted"])
def test_rejected_credentials_ask_for_a_reconnect(alice, alice_api, connect, refresh):
    connection_id = connect(alice, "slack", expires_in=60, refresh=refresh)

    first, backing_off = (credentials(alice_api, connection_id, "slack") for _ in range(2))

    assert first.status_code == backing_off.status_code == 409
    assert first.json() == backing_off.json() == REFUSED
    assert Connection.objects.get().needs_reconnect


def test_credentials_that_work_again_take_the_mark_away(alice, alice_api, connect):
    connection_id = connect(alice)
    own(alice, connection_id, needs_reconnect=True)

    assert credentials(alice_api, connection_id).status_code == 200
    assert not Connection.objects.get().needs_reconnect


def test_a_refusal_of_somebody_elses_connection_does_not_tell_of_it(alice, alice_api, connect, sandbox):
    connection_id = connect(alice, "slack", expires_in=60, refresh="rejected")
    own(alice, connection_id, "slack")
    sandbox.change_connection("slack", connection_id, tags={"end_user_id": "somebody-else"})

    assert credentials(alice_api, connection_id, "slack").json() == NOT_FOUND


@pytest.mark.parametrize("state", [Connection.State.DELETING])
def test_what_is_being_deleted_is_gone(alice, alice_api, connect, calls, state):
    connection_id = connect(alice)
    own(alice, connection_id, state=state)

    assert credentials(alice_api, connection_id).json() == NOT_FOUND
    assert calls() == []


def test_what_is_gone_at_nango_is_marked(alice, alice_api, sandbox):
    own(alice, "gone")

    assert credentials(alice_api, "gone").json() == NOT_FOUND
    assert Connection.objects.get().missing_since is not None


def test_a_recorded_connection_takes_two_queries(alice, alice_api, connect, django_assert_num_queries):
    connection_id = connect(alice)
    credentials(alice_api, connection_id)

    with django_assert_num_queries(2):
        assert credentials(alice_api, connection_id).status_code == 200


def test_no_secret_shows_in_a_log(alice, alice_api, connect, caplog):
    caplog.set_level("DEBUG")

    credentials(alice_api, connect(alice))

    assert "sandbox-acme-key" not in caplog.text
    assert alice_api.token not in caplog.text


def test_one_person_can_not_use_up_what_all_share(alice, bob, alice_api, bob_api, connect, settings):
    settings.NANGO_CALLS_PER_PERSON = 2
    hers, his = connect(alice, connection_id="hers"), connect(bob, connection_id="his")

    statuses = [credentials(alice_api, hers).status_code for _ in range(2)]
    refused = alice_api.get("/api/integrations/acme/connections")

    assert statuses == [200, 200]
    assert (refused.status_code, refused.headers["Retry-After"].isdecimal()) == (429, True)
    assert credentials(bob_api, his).status_code == 200
