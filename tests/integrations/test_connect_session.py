"""POST /api/nango/connect-session."""

import pytest

from accounts.models import AuditEvent
from core.upstream_types import Unreadable
from integrations.models import Connection
from integrations.sources.nango import types
from tests.integrations.conftest import at_nango, own

PATH = "/api/nango/connect-session"


def sessions(sandbox):
    return list(sandbox.state()["nango"]["sessions"].values())


def tags_of(person):
    return {
        "end_user_id": str(person.pk),
        "organization_id": str(person.personal_organization.pk),
        "end_user_display_name": "Alice",
        "end_user_email": "alice@example.com",
    }


def test_it_gives_a_link(alice, alice_api, sandbox):
    answer = alice_api.post(PATH, {"integration_id": "acme"})

    assert answer.status_code == 200
    data = answer.json()["data"]
    assert set(data) == {"token", "connectLink", "expiresAt"}
    assert data["connectLink"].startswith("http")
    assert data["token"] in data["connectLink"]
    (session,) = sessions(sandbox)
    assert session["tags"] == tags_of(alice)
    assert session["allowed"] == ["acme"]


def test_the_token_is_not_kept_or_logged(alice_api, sandbox, caplog):
    caplog.set_level("DEBUG")

    token = alice_api.post(PATH, {"integration_id": "acme"}).json()["data"]["token"]

    assert token not in caplog.text
    (event,) = AuditEvent.objects.filter(action="connect_session.created")
    assert (event.target_id, event.details) == ("acme", {})


@pytest.mark.parametrize("email", ["", "not an address", "käse@exämple.com"])
def test_an_address_that_nango_would_doubt_is_left_out(alice, alice_api, sandbox, email):
    alice.email = email
    alice.save()

    assert alice_api.post(PATH, {"integration_id": "acme"}).status_code == 200
    (session,) = sessions(sandbox)
    assert "end_user_email" not in session["tags"]


def test_a_long_name_is_cut(alice, alice_api, sandbox):
    alice.name = "A" * 255
    alice.save()

    assert alice_api.post(PATH, {"integration_id": "acme"}).status_code == 200


def test_an_unknown_integration_is_not_found(alice_api, sandbox):
    answer = alice_api.post(PATH, {"integration_id": "no-such"})

    assert answer.status_code == 404
    assert answer.json() == {"error": "Integration not found"}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "integration_id: This field is required."),
        ({"integration_id": 7}, "integration_id: Not a valid string."),
        ({"integration_id": ""}, "integration_id: This field may not be blank."),
        ({"integration_id": "a,b"}, "integration_id: Use letters, digits, spaces and ~ : . @ _ - only."),
        ({"integration_id": "a\0"}, "integration_id: Use letters, digits, spaces and ~ : . @ _ - only."),
        ({"integration_id": "acme", "connection_id": None}, "connection_id: This field may not be null."),
        ({"integration_id": "acme", "connection_id": ".."}, "connection_id: This is not a connection id."),
    ],
)
def test_a_malformed_body_is_refused(alice_api, calls, body, sentence):
    answer = alice_api.post(PATH, body)

    assert answer.status_code == 400
    assert answer.json() == {"error": sentence}
    assert calls() == []


def test_callers_cannot_add_tags(alice, alice_api, sandbox):
    alice_api.post(PATH, {"integration_id": "acme", "tags": {"end_user_id": "bob"}, "end_user": {"id": "bob"}})

    (session,) = sessions(sandbox)
    assert session["tags"] == tags_of(alice)


def test_a_reconnect_keeps_the_connection_and_sends_every_tag_again(alice, alice_api, connect, sandbox):
    connection_id = connect(alice)

    answer = alice_api.post(PATH, {"integration_id": "acme", "connection_id": connection_id})

    assert answer.status_code == 200
    (session,) = sessions(sandbox)
    assert session["tags"] == tags_of(alice)
    held = at_nango(sandbox, connection_id)
    assert held is not None
    assert AuditEvent.objects.filter(action="connection.reconnect_started").count() == 1


@pytest.mark.parametrize("recorded", [True, False])
def test_nobody_reconnects_what_is_not_theirs(alice, charlie_api, connect, sandbox, recorded):
    connection_id = connect(alice)
    if recorded:
        own(alice, connection_id)

    strange = charlie_api.post(PATH, {"integration_id": "acme", "connection_id": connection_id})
    absent = charlie_api.post(PATH, {"integration_id": "acme", "connection_id": "no-such"})

    assert strange.status_code == absent.status_code == 404
    assert strange.content == absent.content == b'{"error":"Connection not found"}'
    assert sessions(sandbox) == []


def test_what_is_gone_at_nango_cannot_be_reconnected(alice, alice_api, sandbox):
    own(alice, "gone")

    answer = alice_api.post(PATH, {"integration_id": "acme", "connection_id": "gone"})

    assert answer.status_code == 404
    assert answer.json() == {"error": "Connection not found"}


def test_thirty_a_minute_are_enough(alice, alice_api, sandbox):
    answers = [alice_api.post(PATH, {"integration_id": "acme"}).status_code for _ in range(31)]

    assert answers == [200] * 30 + [429]


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"status": 500}, 502),
        ({"status": 201, "body": {"data": {"token": "t"}}}, 502),
        (
            {
                "status": 201,
                "body": {"data": {"token": "t", "connect_link": "javascript:x", "expires_at": "2026-01-02T03:04:05Z"}},
            },
            502,
        ),
        ({"status": 201, "body": "<html></html>"}, 502),
        ({"status": 403}, 503),
        ({"status": 429}, 503),
    ],
)
def test_trouble_at_nango_is_told_as_such(alice_api, sandbox, fault, status):
    sandbox.faults(target="nango", match="POST /connect/sessions", **fault)

    assert alice_api.post(PATH, {"integration_id": "acme"}).status_code == status
    assert not Connection.objects.exists()


def test_what_bears_anothers_tags_gets_no_reconnect_session(alice, bob, alice_api, connect, calls):
    own(alice, connect(bob, connection_id="main"))

    answer = alice_api.post(PATH, {"integration_id": "acme", "connection_id": "main"})

    assert answer.status_code == 404
    assert answer.json() == {"error": "Connection not found"}
    assert calls() == ["GET /connections"]


def _session(link):
    told = {"token": "visibly-fake", "connect_link": link, "expires_at": "2030-01-01T00:00:00.000Z"}
    return types.connect_session({"data": told})


@pytest.mark.parametrize(
    "link",
    [
        "https://a;script-src%20*/",
        "https://a b/",
        "https://a\r\nX-Y: z/",
        "https://nango.dev@evil.example/",
        "https://evil.example\\@nango.dev/",
        "https:///",
        "https://é.example/",
        "javascript:alert(1)//https://a/",
        "https://a/" + "x" * 5000,
    ],
)
def test_a_link_that_would_break_the_pages_policy_or_lead_astray_is_none(link):
    with pytest.raises(Unreadable):
        _session(link)


@pytest.mark.parametrize(
    "link",
    ["https://connect.nango.dev/?session_token=x", "http://127.0.0.1:3009/?a=%20&b=c", "http://[::1]:3009?a=b"],
)
def test_links_as_nango_makes_them_are_taken(link):
    assert _session(link).connect_link == link
