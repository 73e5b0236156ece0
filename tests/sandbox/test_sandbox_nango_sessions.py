"""Connect sessions, the page behind their link, and the webhooks that follow."""

import hashlib
import hmac
import json
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from tests.sandbox.actors import Answer, NangoClient, Receiver
from tests.sandbox_process import SandboxProcess

KEY = b"sandbox-webhook-signing-key"
TAGS = {"end_user_id": "u-1", "organization_id": "o-1"}


def press(nango: NangoClient, token: str, integration: str, **fields: str) -> Answer:
    sent = {"session_token": token, "integration": integration, **fields}
    response = nango.pool.request("POST", f"{nango.base}/connect/", fields=sent, encode_multipart=False)
    return Answer(response.status, response.headers, response.data.decode())


def opened(nango: NangoClient, session: Any) -> str:
    """The link as it opens on a Nango of one's own: the page asks the cloud unless it is told whom to ask."""
    return f"{session['connect_link']}&apiURL={quote(nango.base, safe='')}"


def look(nango: NangoClient, link: str) -> Answer:
    response = nango.pool.request("GET", link)
    return Answer(response.status, response.headers, response.data.decode())


def connections(sandbox_process: SandboxProcess) -> Any:
    return sandbox_process.state()["nango"]["connections"]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, []),
        ({"tags": {}, "connection_id": "mine"}, []),
        ({"tags": {"end_user_id": ""}}, ["tags", "end_user_id"]),
        ({"tags": {"end_user_email": "nobody"}}, ["tags"]),
        ({"tags": {"end_user_email": "a!b@example.com"}}, ["tags"]),
        ({"tags": {"end_user_email": "alice'@example.com"}}, ["tags"]),
        ({"tags": {"end_user_email": "alice@example.xn--p1ai"}}, ["tags"]),
        ({"tags": {"end_user_email": "alice@localhost"}}, ["tags"]),
        ({"tags": {}, "allowed_integrations": ["acme", "nothing"]}, ["allowed_integrations", "1"]),
        ({"tags": {}, "webhook_url_override": "http://localhost/hook"}, ["webhook_url_override"]),
        ({"end_user": {"email": "a@example.com"}}, ["end_user", "id"]),
        ([], []),
    ],
)
def test_a_session_is_checked_strictly(nango: NangoClient, body: object, path: list[str]) -> None:
    answer = nango("POST", "/connect/sessions", body)
    assert (answer.status, answer.code) == (400, "invalid_body")
    assert [problem["path"] for problem in answer.json["error"]["errors"]] == [path]


def test_a_session_lasts_30_minutes_and_has_a_link(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    session = nango.open_session(tags=TAGS)
    assert re.fullmatch(r"nango_connect_session_[0-9a-f]{64}", session["token"])
    assert session["connect_link"] == f"{sandbox_process.nango_url}/connect/?session_token={session['token']}"
    left = datetime.fromisoformat(session["expires_at"]) - datetime.now(tz=UTC)
    assert 29 * 60 < left.total_seconds() <= 30 * 60
    assert session["expires_at"].endswith("Z")


def test_a_token_sees_its_session_until_it_is_revoked(nango: NangoClient) -> None:
    session = nango.open_session(tags=TAGS, allowed_integrations=["acme"])
    headers = {"Authorization": f"Bearer {session['token']}"}
    assert nango("GET", "/connect/session", headers=headers).json["data"]["allowed_integrations"] == ["acme"]
    listed = nango("GET", "/integrations", headers=headers).json["data"]
    assert [item["unique_key"] for item in listed] == ["acme"]
    assert nango("GET", "/connections", headers=headers).code == "invalid_secret_key_format"
    assert nango("DELETE", "/connect/session", headers=headers).status == 204
    assert nango("GET", "/connect/session", headers=headers).code == "unknown_connect_session_token"
    assert look(nango, opened(nango, session)).status == 401


def test_the_page_asks_the_cloud_unless_the_link_names_this_nango(nango: NangoClient) -> None:
    session = nango.open_session(tags=TAGS, allowed_integrations=["acme"])
    for more in ("", "&apiURL=https%3A%2F%2Fapi.nango.dev"):
        page = look(nango, session["connect_link"] + more)
        assert (page.status, "asks Nango&#x27;s cloud" in page.text) == (401, True)
    assert look(nango, opened(nango, session)).status == 200


def test_a_session_says_who_it_is_for_and_nothing_of_its_tags(nango: NangoClient) -> None:
    headers = {"Authorization": f"Bearer {nango.open_session(tags=TAGS)['token']}"}
    shown = nango("GET", "/connect/session", headers=headers).json["data"]
    assert {"endUser", "connectUISettings", "websocketsPath"} <= set(shown)
    assert "u-1" not in str(shown)


def test_an_expired_session_has_its_own_page(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    session = nango.open_session(tags=TAGS)
    sandbox_process.control("POST", f"/nango/sessions/{session['token']}", {"expires_in": -1})
    page = look(nango, opened(nango, session))
    assert (page.status, "does not work any more" in page.text) == (401, True)
    assert press(nango, session["token"], "acme", api_key="k").status == 401
    assert connections(sandbox_process) == {}


def test_the_page_lets_choose_unless_there_is_one(nango: NangoClient) -> None:
    several = look(nango, opened(nango, nango.open_session(tags=TAGS, allowed_integrations=["acme", "slack"])))
    assert ("Acme" in several.text, "Slack" in several.text, "Linear" in several.text) == (True, True, False)
    assert "<form" not in several.text
    one = look(nango, opened(nango, nango.open_session(tags=TAGS, allowed_integrations=["postgres"])))
    assert ('name="username"' in one.text, 'name="password"' in one.text) == (True, True)
    assert "<script" not in one.text + several.text


def test_the_page_refuses_what_the_session_does_not_allow(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    session = nango.open_session(tags=TAGS, allowed_integrations=["acme"])
    assert look(nango, opened(nango, session) + "&integration=slack").status == 400
    assert press(nango, session["token"], "slack").status == 400
    assert press(nango, session["token"], "nothing").status == 400
    assert connections(sandbox_process) == {}


def test_the_page_asks_again_for_an_empty_or_refused_key(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    sandbox_process.settings(refused_credentials=["wrong"])
    token = nango.open_session(tags=TAGS)["token"]
    empty, refused = press(nango, token, "acme", api_key=" "), press(nango, token, "acme", api_key="wrong")
    assert (empty.status, "Please fill in the form." in empty.text) == (400, True)
    assert (refused.status, "The provider refused these credentials." in refused.text) == (400, True)
    assert connections(sandbox_process) == {}


@pytest.mark.parametrize(
    ("integration", "fields", "credentials"),
    [
        ("acme", {"api_key": "k"}, {"type": "API_KEY", "apiKey": "k"}),
        (
            "postgres",
            {"username": "u", "password": "p"},
            {"type": "BASIC", "username": "u", "password": "p"},
        ),
    ],
)
def test_connecting_makes_a_connection_with_the_tags_of_the_session(
    sandbox_process: SandboxProcess,
    nango: NangoClient,
    integration: str,
    fields: dict[str, str],
    credentials: dict[str, str],
) -> None:
    page = press(nango, nango.open_session(tags=TAGS)["token"], integration, **fields)
    assert (page.status, "you may close this window" in page.text) == (200, True)
    [made] = connections(sandbox_process).values()
    assert (made["tags"], made["credentials"], made["end_user"]) == (TAGS, credentials, None)


def test_a_link_with_one_integration_can_be_posted_to_as_it_is(
    sandbox_process: SandboxProcess, nango: NangoClient
) -> None:
    for allowed, status in ((["acme"], 200), ([], 400), (["acme", "slack"], 400)):
        link = nango.open_session(tags=TAGS, allowed_integrations=allowed)["connect_link"]
        response = nango.pool.request("POST", link, fields={"api_key": "k"}, encode_multipart=False)
        assert response.status == status
    assert len(connections(sandbox_process)) == 1


def test_connecting_by_oauth_gives_tokens_unlike_any_others(
    sandbox_process: SandboxProcess, nango: NangoClient
) -> None:
    token = nango.open_session(tags=TAGS)["token"]
    for _ in range(2):
        assert press(nango, token, "salesforce").status == 200
    one, other = (made["credentials"] for made in connections(sandbox_process).values())
    assert (one["type"], set(one)) == ("OAUTH2", {"type", "access_token", "refresh_token", "expires_at", "raw"})
    assert one["access_token"] != other["access_token"]


def test_an_old_end_user_becomes_tags_and_top_level_tags_win(
    sandbox_process: SandboxProcess, nango: NangoClient, receiver: Receiver
) -> None:
    token = nango.open_session(
        end_user={"id": "u-1", "email": "a@example.com", "tags": {"Plan": "x"}},
        organization={"id": "o-1"},
        tags={"organization_id": "o-2"},
    )["token"]
    press(nango, token, "acme", api_key="k")
    [made] = connections(sandbox_process).values()
    assert made["tags"] == {
        "end_user_id": "u-1",
        "end_user_email": "a@example.com",
        "plan": "x",
        "organization_id": "o-2",
    }
    assert made["end_user"]["organization"] == {"id": "o-1", "display_name": None}
    sandbox_process.webhooks()
    assert receiver.bodies[0]["endUser"]["endUserId"] == "u-1"


def test_headless_completion_answers_with_the_address(nango: NangoClient) -> None:
    token = nango.open_session(tags=TAGS, allowed_integrations=["acme", "postgres"])["token"]
    query = f"?connect_session_token={token}"
    made = nango("POST", f"/api-auth/api-key/acme{query}", {"apiKey": "k"}, headers={})
    assert (made.status, made.json["providerConfigKey"]) == (200, "acme")
    assert (
        nango("POST", f"/api-auth/basic/postgres{query}", {"username": "u", "password": ""}, headers={}).status == 200
    )
    for path, body, code in (
        (f"/api-auth/api-key/acme{query}", {"apiKey": ""}, "invalid_body"),
        (f"/api-auth/api-key/acme{query}&connection_id=mine", {"apiKey": "k"}, "invalid_query_params"),
        (f"/api-auth/api-key/postgres{query}", {"apiKey": "k"}, "invalid_auth_mode"),
        (f"/api-auth/api-key/slack{query}", {"apiKey": "k"}, "integration_not_allowed"),
        ("/api-auth/api-key/acme?connect_session_token=x", {"apiKey": "k"}, "unknown_connect_session_token"),
    ):
        assert nango("POST", path, body, headers={}).code == code
    assert nango("GET", f"/oauth/connect/acme{query}", headers={}).code == "invalid_auth_mode"


def test_a_reconnect_wants_a_connection_that_exists(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    sandbox_process.seed(integration="acme", connection_id="c1")
    for pair in ({"connection_id": "c2", "integration_id": "acme"}, {"connection_id": "c1", "integration_id": "slack"}):
        answer = nango("POST", "/connect/sessions/reconnect", pair)
        assert (answer.status, answer.code, "errors" in answer.json["error"]) == (400, "invalid_body", False)
    pair = {"connection_id": "caf\u00e9", "integration_id": "acme"}
    sandbox_process.seed(integration="acme", connection_id="caf\u00e9")
    assert nango("POST", "/connect/sessions/reconnect", pair).code == "invalid_body"


def test_a_connection_that_is_deleted_meanwhile_is_not_renewed(
    sandbox_process: SandboxProcess, nango: NangoClient
) -> None:
    sandbox_process.seed(integration="acme", connection_id="c1")
    pair = {"connection_id": "c1", "integration_id": "acme"}
    token = nango("POST", "/connect/sessions/reconnect", pair).json["data"]["token"]
    nango("DELETE", "/connections/c1?provider_config_key=acme")
    answer = nango("POST", f"/api-auth/api-key/acme?connect_session_token={token}", {"apiKey": "k"}, headers={})
    assert (answer.status, answer.code) == (400, "invalid_connection")


@pytest.mark.parametrize("session", ["new", "renewing"])
def test_somebody_who_says_no_is_a_creation_that_failed_without_tags(
    sandbox_process: SandboxProcess, nango: NangoClient, receiver: Receiver, session: str
) -> None:
    sandbox_process.seed(integration="salesforce", connection_id="c1", tags=TAGS)
    pair = {"connection_id": "c1", "integration_id": "salesforce", "tags": TAGS}
    if session == "renewing":
        token = nango("POST", "/connect/sessions/reconnect", pair).json["data"]["token"]
    else:
        token = nango.open_session(tags=TAGS)["token"]
    assert "Not connected" in press(nango, token, "salesforce", deny="yes").text
    sandbox_process.webhooks()
    (told,) = receiver.bodies
    assert (told["operation"], told["success"], "tags" in told) == ("creation", False, False)
    assert (told["connectionId"] == "c1") == (session == "renewing")
    assert list(connections(sandbox_process)) == ["c1"]


@pytest.mark.parametrize("tags", [{}, TAGS])
def test_a_reconnect_keeps_the_id_and_has_only_the_tags_that_were_sent(
    sandbox_process: SandboxProcess, nango: NangoClient, receiver: Receiver, tags: dict[str, str]
) -> None:
    sandbox_process.seed(integration="acme", connection_id="c1", tags={"end_user_id": "u-1"}, metadata={"a": 1})
    body = {"connection_id": "c1", "integration_id": "acme", **({"tags": tags} if tags else {})}
    session = nango("POST", "/connect/sessions/reconnect", body)
    assert session.status == 201
    assert press(nango, session.json["data"]["token"], "acme", api_key="new").status == 200
    [made] = connections(sandbox_process).values()
    assert (made["connection_id"], made["tags"], made["metadata"]) == ("c1", tags, {})
    assert made["credentials"]["apiKey"] == "new"
    sandbox_process.webhooks()
    assert [body["operation"] for body in receiver.bodies] == ["override"]


def test_a_webhook_is_signed_over_its_sorted_body(
    sandbox_process: SandboxProcess, nango: NangoClient, receiver: Receiver
) -> None:
    press(nango, nango.open_session(tags=TAGS)["token"], "acme", api_key="k")
    [sent] = sandbox_process.webhooks()
    [(headers, raw)] = receiver.got
    [connection_id] = connections(sandbox_process)
    assert headers["X-Nango-Hmac-Sha256"] == hmac.new(KEY, raw, hashlib.sha256).hexdigest()
    assert headers["X-Nango-Signature"] == hashlib.sha256(KEY + raw).hexdigest()
    body = json.loads(raw)
    assert list(body) == sorted(body)
    assert body == {
        "authMode": "API_KEY",
        "connectionId": connection_id,
        "environment": "dev",
        "from": "nango",
        "operation": "creation",
        "provider": "private-api-generic",
        "providerConfigKey": "acme",
        "success": True,
        "tags": TAGS,
        "type": "auth",
    }
    assert (sent["attempts"], sent["url"]) == ([200], receiver.url)


@pytest.mark.parametrize(
    ("statuses", "attempts"),
    [([500, 200], [500, 200]), ([500, 502, 503], [500, 502, 503]), ([401], [401]), ([302], [302])],
)
def test_a_webhook_is_tried_again_after_5xx_only(
    sandbox_process: SandboxProcess,
    nango: NangoClient,
    receiver: Receiver,
    statuses: list[int],
    attempts: list[int],
) -> None:
    receiver.statuses = statuses
    press(nango, nango.open_session(tags=TAGS)["token"], "acme", api_key="k")
    [sent] = sandbox_process.webhooks()
    assert sent["attempts"] == attempts


def test_a_webhook_to_nobody_is_tried_three_times(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    sandbox_process.settings(webhook_url="http://127.0.0.1:9/", webhook_retry_seconds=0)
    press(nango, nango.open_session(tags=TAGS)["token"], "acme", api_key="k")
    [sent] = sandbox_process.webhooks()
    assert sent["attempts"] == ["ClientConnectorError"] * 3


def test_an_import_sends_a_webhook_and_a_delete_sends_none(
    sandbox_process: SandboxProcess, nango: NangoClient, receiver: Receiver
) -> None:
    credentials = {"type": "API_KEY", "apiKey": "k"}
    body = {"provider_config_key": "acme", "connection_id": "c1", "credentials": credentials}
    nango("POST", "/connections", body)
    nango("DELETE", "/connections/c1?provider_config_key=acme")
    sandbox_process.webhooks()
    assert [body["operation"] for body in receiver.bodies] == ["creation"]


def test_webhooks_can_be_off_and_others_can_be_sent_at_will(
    sandbox_process: SandboxProcess, nango: NangoClient, receiver: Receiver
) -> None:
    sandbox_process.settings(webhooks=False)
    press(nango, nango.open_session(tags=TAGS)["token"], "acme", api_key="k")
    assert sandbox_process.webhooks() == []
    receiver.statuses = [202]
    answer = sandbox_process.send_webhook(body={"b": 1, "a": 2}, headers={"X-Nango-Signature": None})
    assert answer["status"] == 202
    [(headers, raw)] = receiver.got
    assert raw == b'{"a":2,"b":1}'
    assert "X-Nango-Signature" not in headers
    assert headers["X-Nango-Hmac-Sha256"] == hmac.new(KEY, raw, hashlib.sha256).hexdigest()
