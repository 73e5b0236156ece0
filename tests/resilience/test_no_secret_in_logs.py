"""Whatever happens, no secret is in the log, an error, a redirect, the audit trail, or open in the database."""

import json
import os
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection

from accounts.models import AuditEvent
from tests.fuzz.wire import request, send
from tests.gunicorn_process import GunicornProcess
from tests.resilience.conftest import Tool
from tests.resilience.web import WebBrowser, approve, check, start_login

API_KEY, PASSWORD = "not-a-secret-api-key-5f0c", "not-a-secret-password-77ab"
REFUSED = "not-a-secret-refused-19de"
SHORTEST = 8


class Watched:
    """A server whose errors are kept."""

    def __init__(self, server: GunicornProcess) -> None:
        self._server = server
        self.errors: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)

    def request(self, method: str, path: str, **options: Any) -> Any:
        answer = self._server.request(method, path, **options)
        if answer.status >= 400:
            self.errors.append(f"{answer.status} {dict(answer.headers)} {answer.data.decode(errors='replace')}")
        return answer


class Journey:
    """All that people and tools do, with every secret that they came by."""

    def __init__(self, server: Watched, sandbox: Any) -> None:
        self.server, self.sandbox = server, sandbox
        self.browser = WebBrowser(server)
        self.secrets: dict[str, str] = {}
        self.written_before = len(server.log)

    def sign_in_and_log_in(self) -> Tool:
        back = self.browser.approved_at_github("alice")
        self.secrets["code of GitHub"] = parse_qs(urlsplit(back).query)["code"][0]
        self.secrets["first session"] = self.browser.cookies["session"]
        # The first exchange fails, and GitHub's answer says too much.
        self.sandbox.faults(target="github", match="POST /login/oauth/access_token", status=500, body=API_KEY)
        assert self.browser.get(back).status == 502
        assert self.browser.sign_in("alice").status == 302
        code, secret = start_login(self.server)
        self.secrets["secret of the CLI login"] = secret
        page = self.browser.get(f"/auth/cli?cli_code={code}")
        self.secrets["token of the form"] = re.search(rb'csrfmiddlewaretoken" value="(\w+)"', page.content)[1].decode()
        approve(self.browser, code)
        check(self.server, code, "not-a-secret-wrong-secret")
        token = check(self.server, code, secret).json()["data"]["token"]
        self.secrets |= {"access token": token, "session": self.browser.cookies["session"]}
        self.secrets |= {"cookie of the forms": self.browser.cookies["csrf"]}
        return Tool(self.server, token)

    def connect(self, tool: Tool) -> None:
        session = tool.post("/api/nango/connect-session", {"integration_id": "salesforce"}).json()["data"]
        self.secrets["token of the connect session"] = session["token"]
        self.secrets["Nango's own"] = list(self.sandbox.state()["nango"]["sessions"])[-1]
        assert self.browser.get(session["connectLink"].removeprefix(self.server.url)).status == 200
        self.sandbox.press_connect()
        self.sandbox.webhooks()
        (made,) = tool.get("/api/integrations/salesforce/connections").json()["data"]
        answer = tool.get(f"/api/credentials/salesforce?connection_id={made['connection_id']}").json()["data"]
        self.secrets["OAuth token"] = answer["token"]
        assert tool.create("main", key=API_KEY).status == 200
        assert tool.credentials("main").json()["data"]["token"] == API_KEY
        body = {"integration_id": "postgres", "connection_id": "db"}
        body |= {"credentials": {"username": "alice", "password": PASSWORD}}
        assert tool.post("/api/connections/create", body).status == 200
        self.secrets |= {"API key": API_KEY, "password": PASSWORD}

    def fail(self, tool: Tool) -> None:
        """Every way in which a secret could be said back."""
        token = self.secrets["access token"]
        self.sandbox.settings(refused_credentials=[REFUSED])
        assert tool.create("other", key=REFUSED).status == 400
        self.secrets["refused key"] = REFUSED
        for body in (f'{{"apiKey": "{API_KEY}"', f'["{API_KEY}"]', f'{{"integration_id": "acme", "{API_KEY}": 1}}'):
            headers = {"Content-Type": "application/json"}
            path = "/api/connections/create"
            assert self.server.request("POST", path, token=token, body=body, headers=headers).status == 400
        for fault in (
            {"status": 500, "body": {"error": {"message": API_KEY}}},
            {"status": 200, "body": {"credentials": [API_KEY], "tags": {}}},
            {"status": 424, "body": {"error": {"code": "invalid_credentials", "message": API_KEY}}},
            {"drop": "after", "times": 2},
            {"status": 401, "body": {"error": {"message": API_KEY}}},
        ):
            self.sandbox.faults(target="nango", match="GET /connections/main", **fault)
            assert tool.credentials("main").status in {409, 502, 503}
        for match, ask in (
            ("POST /connections", lambda: tool.create("more", key=API_KEY)),
            ("POST /connect", tool.connect),
        ):
            self.sandbox.faults(target="nango", match=match, status=500, body=API_KEY)
            assert ask().status == 502
        for headers in ({"Authorization": f"Basic {token}"}, {"Authorization": f"Bearer {token}x"}, {"X-Token": token}):
            assert self.server.request("GET", "/api/integrations", headers=headers).status == 401
        assert self.server.request("GET", f"/api/nothing?token={token}").status == 404
        assert self.server.request("GET", f"/auth/cli?cli_code={token}").status == 200
        assert self.server.request("GET", f"/nothing?session={self.secrets['session']}").status == 404
        assert self.server.request("POST", "/webhooks/nango", body=API_KEY).status == 401
        assert (
            send(self.server, request("GET", "/api/integrations", f"Authorization: Bearer {token}\x00")).status == 400
        )
        assert send(self.server, f"GET /?t={token}\r\n\r\n".encode()).status == 400

    def use_keys(self, tool: Tool) -> None:
        """Keys of each kind: made, used, mistyped, rotated, asked about, refused."""
        made = tool.post("/api/keys", {"name": "CI"}).json()["data"]
        rotated = tool.post(f"/api/keys/{made['id']}/rotate", {}).json()["data"]
        worker = tool.post("/api/orgs/alice/worker-tokens", {"displayName": "worker-1"}).json()["token"]
        registered = self.server.request("POST", "/api/users/register", json={}).json()["api_key"]
        keys = {"key": made["key"], "rotated key": rotated["key"], "worker's key": worker, "registered key": registered}
        self.secrets |= keys
        for key in keys.values():
            for shown in (key, key[:-1], key.replace("crayon_", "crayon_x")):
                self.server.request("GET", "/api/integrations", headers={"Authorization": f"Bearer {shown}"})
                self.server.request("POST", "/api/auth/validate-key", json={"apiKey": shown})
                self.server.request("POST", "/api/auth/validate-key", json={"apiKey": {"key": shown}})
                assert tool.post("/api/keys", {"name": "CI", "scopes": [shown]}).status == 400
                assert tool.post("/api/keys", {"name": "CI", "networks": [shown]}).status == 400

    def end(self, tool: Tool) -> None:
        assert tool.delete("main").status == 200
        page = self.browser.get("/account/apps")
        assert page.status == 200
        assert tool.post("/api/auth/logout", {}).status == 200
        assert tool.integrations().status == 401
        self.browser.press(page, "/auth/sign-out")

    def collect(self) -> None:
        """The secrets that only the stand-ins and the settings know."""
        state = self.sandbox.state()
        for number, token in enumerate(state["github"]["tokens"]):
            self.secrets[f"token {number} of GitHub"] = token
        for number, held in enumerate(state["nango"]["connections"].values()):
            for name, value in _texts(held["credentials"]):
                if name not in {"type", "expires_at", "username"}:
                    self.secrets[f"{name} of connection {number}"] = value
        for number, (token, _) in enumerate(state["nango"]["sessions"].items()):
            self.secrets[f"connect session {number}"] = token
        self.secrets |= {
            "SECRET_KEY": os.environ["SECRET_KEY"],
            "ENCRYPTION_KEYS": os.environ["ENCRYPTION_KEYS"].partition(":")[2],
            "password of the database": str(connection.settings_dict["PASSWORD"]),
            "GITHUB_CLIENT_SECRET": "sandbox-github-secret",
            "NANGO_SECRET_KEY": "00000000-0000-4000-8000-000000000001",
            "NANGO_WEBHOOK_SIGNING_KEY": "sandbox-webhook-signing-key",
        }


def _texts(value: Any, name: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [found for key, nested in value.items() for found in _texts(nested, str(key))]
    return [(name, value)] if isinstance(value, str) and len(value) >= SHORTEST else []


@pytest.fixture
def journey(server, sandbox):
    walked = Journey(Watched(server), sandbox)
    tool = walked.sign_in_and_log_in()
    walked.connect(tool)
    walked.fail(tool)
    walked.use_keys(tool)
    walked.collect()
    walked.end(tool)
    assert len(walked.secrets) >= 20
    assert all(len(secret) >= SHORTEST for secret in walked.secrets.values()), walked.secrets
    return walked


def found_in(text: str, secrets: dict[str, str]) -> list[str]:
    return [name for name, secret in secrets.items() if secret in text]


def database() -> str:
    """Every row of every table, as text."""
    rows = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT t::text FROM "{table}" t')
            rows.extend(row[0] for row in cursor.fetchall())
    return "\n".join(rows)


def test_no_secret_is_where_it_does_not_belong(journey):
    log = journey.server.log[journey.written_before :]
    audit = json.dumps(list(AuditEvent.objects.values()), default=str)
    errors, redirects = "\n".join(journey.server.errors), "\n".join(journey.browser.locations)
    # Each place holds what it should, or the search below would find nothing anywhere.
    for path in ("/api/auth/cli/check", "/api/connections/create", "/auth/cli", "/webhooks/nango"):
        assert path in log
    assert "answering 502" in log
    assert {event.action for event in AuditEvent.objects.all()} >= {
        "cli_login.approved",
        "access_token.issued",
        "connection.created",
        "connection.deleted",
        "access_token.revoked",
    }
    assert len(journey.server.errors) >= 20
    assert "/login/oauth/authorize" in redirects

    assert found_in(log, journey.secrets) == []
    assert found_in(errors, journey.secrets) == []
    assert found_in(redirects, journey.secrets) == []
    assert found_in(audit, journey.secrets) == []


def test_no_secret_is_open_in_the_database(journey):
    rows = database()
    assert "cli_login.approved" in rows
    # Django knows its sessions by their key, which is why it is as good as gone when it is signed out.
    sessions = {"session", "first session"}
    assert found_in(rows, {name: secret for name, secret in journey.secrets.items() if name not in sessions}) == []


def test_the_search_would_find_a_secret(journey):
    assert found_in(f"GET /?t={journey.secrets['access token']}", journey.secrets) == ["access token"]
