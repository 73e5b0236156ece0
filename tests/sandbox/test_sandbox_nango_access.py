"""What happens before any route of Nango: body, key, rate limit, scope."""

import time

import pytest

from tests.sandbox.actors import NANGO_KEY, NangoClient
from tests.sandbox_process import SandboxProcess


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "missing_auth_header"),
        ({"Authorization": "Bearer "}, "malformed_auth_header"),
        ({"Authorization": f"bearer {NANGO_KEY}"}, "invalid_secret_key_format"),
        ({"Authorization": "Bearer secret"}, "invalid_secret_key_format"),
        ({"Authorization": "Bearer nango_connect_session_" + "0" * 64}, "invalid_secret_key_format"),
        ({"Authorization": "Bearer 00000000-0000-4000-8000-000000000002"}, "unknown_account"),
    ],
)
def test_a_bad_key_is_a_401_that_is_not_counted(nango: NangoClient, headers: dict[str, str], code: str) -> None:
    answer = nango("GET", "/connections", headers=headers)
    assert (answer.status, answer.code) == (401, code)
    assert "X-RateLimit-Limit" not in answer.headers
    assert nango("GET", "/connections").headers["X-RateLimit-Remaining"] == "199"


def test_a_bare_key_without_a_scheme_is_accepted(nango: NangoClient) -> None:
    assert nango("GET", "/connections", headers={"Authorization": NANGO_KEY}).status == 200


def test_another_content_type_is_a_415(nango: NangoClient) -> None:
    headers = {"Authorization": f"Bearer {NANGO_KEY}", "Content-Type": "text/plain"}
    for method, path in (("POST", "/connections"), ("GET", "/connections"), ("DELETE", "/connections/a")):
        answer = nango(method, path, "{}", headers=headers)
        assert (answer.status, answer.code) == (415, "invalid_content_type")


@pytest.mark.parametrize("body", ["{", '"text"', "7", "\ud83d", '{"a": NaN}', "[" * 100_000])
def test_a_body_that_is_not_json_is_a_400(nango: NangoClient, body: str) -> None:
    raw = body.encode("utf-8", "surrogatepass").decode("latin-1")
    answer = nango("POST", "/connect/sessions", raw)
    assert (answer.status, answer.code) == (400, "invalid_json")


def test_the_limit_counts_every_authenticated_answer_and_ends_in_429(
    sandbox_process: SandboxProcess, nango: NangoClient
) -> None:
    sandbox_process.settings(rate_limit_per_minute=2)
    first, refused = nango("GET", "/integrations"), nango("GET", "/connections?foo=1")
    assert (first.status, refused.status) == (200, 400)
    assert first.headers["X-RateLimit-Limit"] == "2"
    assert [answer.headers["X-RateLimit-Remaining"] for answer in (first, refused)] == ["1", "0"]
    assert 0 < int(first.headers["X-RateLimit-Reset"]) - time.time() <= 61
    limited = nango("POST", "/connections", {})
    assert limited.status == 429
    assert limited.json == {"error": {"code": "too_many_request", "method": "POST", "path": "/connections"}}
    assert 0 <= int(limited.headers["Retry-After"]) <= 60
    assert limited.headers["X-RateLimit-Remaining"] == "0"


def test_session_tokens_are_counted_apart(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    token = nango.open_session(tags={})["token"]
    sandbox_process.settings(rate_limit_per_minute=1)
    assert nango("GET", "/integrations").status == 429
    assert nango("GET", "/integrations", headers={"Authorization": f"Bearer {token}"}).status == 200


def test_without_a_limit_no_headers_are_sent(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    sandbox_process.settings(rate_limit_per_minute=0)
    answers = [nango("GET", "/integrations") for _ in range(250)]
    assert {answer.status for answer in answers} == {200}
    assert "X-RateLimit-Limit" not in answers[0].headers


def test_a_missing_scope_is_named_in_a_403(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    sandbox_process.settings(scopes=["environment:integrations:*"])
    assert nango("GET", "/integrations").status == 200
    answer = nango("GET", "/connections")
    assert (answer.status, answer.code) == (403, "forbidden")
    assert "environment:connections:list" in answer.json["error"]["message"]


def test_without_read_credentials_a_connection_has_none(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    sandbox_process.seed(integration="acme", connection_id="c1")
    sandbox_process.settings(scopes=["environment:connections:read"])
    path = "/connections/c1?provider_config_key=acme"
    assert (nango("GET", path).status, nango("GET", path).json["credentials"]) == (200, {})
    assert nango("GET", f"{path}&refresh_token=true").status == 403


@pytest.mark.parametrize(("method", "path"), [("GET", "/nothing"), ("PUT", "/connections"), ("GET", "/connection/c1")])
def test_an_unknown_path_falls_through_to_a_page(nango: NangoClient, method: str, path: str) -> None:
    answer = nango(method, path)
    assert (answer.status, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")


def test_without_its_database_nango_finds_fault_with_the_header(
    sandbox_process: SandboxProcess, nango: NangoClient
) -> None:
    sandbox_process.settings(nango_database_down=True)
    for method, path in (("GET", "/connections"), ("GET", "/integrations"), ("POST", "/connect/sessions")):
        answer = nango(method, path, {} if method == "POST" else None)
        assert (answer.status, answer.code) == (401, "malformed_auth_header")


@pytest.mark.parametrize(
    ("scopes", "status", "credentials"),
    [
        (["environment:connections:read"], 200, {}),
        (["environment:connections:read_credentials"], 200, {"type": "API_KEY", "apiKey": "sandbox-acme-key"}),
        (["environment:connections:list"], 403, None),
    ],
)
def test_the_scope_of_credentials_alone_lets_one_read_a_connection(
    sandbox_process: SandboxProcess, nango: NangoClient, scopes: list[str], status: int, credentials: object
) -> None:
    sandbox_process.seed(integration="acme", connection_id="c1")
    sandbox_process.settings(scopes=scopes)
    answer = nango("GET", "/connections/c1?provider_config_key=acme")
    assert (answer.status, answer.json.get("credentials")) == (status, credentials)
