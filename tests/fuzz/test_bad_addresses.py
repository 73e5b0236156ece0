"""Paths, queries, methods, headers and hosts that nobody in their right mind sends."""

from urllib.parse import quote, unquote

import pytest

from tests.fuzz.asking import GETS, POSTS, sentence_of

pytestmark = pytest.mark.django_db

ODD_IDS = (
    "%00",
    "a%00b",
    "%ff",
    "%ed%a0%80",
    "%0d%0aX-Injected:%201",
    "..%2f..%2fconnections",
    "a%2Cb",
    "%F0%9F%A6%8A",
    "x" * 256,
    "x" * 100_000,
    quote("x?provider_config_key=other#", safe=""),
    quote("<script>alert(1)</script>", safe=""),
    quote("' OR 1=1 --", safe=""),
)


@pytest.fixture
def calls(sandbox):
    return lambda: [f"{entry['method']} {entry['path']}?{entry['query']}" for entry in sandbox.requests("nango")]


@pytest.mark.parametrize("odd", ODD_IDS, ids=lambda odd: odd[:40])
@pytest.mark.parametrize("path", ["/api/integrations/{}/connections", "/api/credentials/{}?connection_id=mine"])
def test_an_odd_id_in_the_path_is_unknown_and_reaches_nobody(alice_api, calls, path, odd):
    answer = alice_api.request("GET", path.format(odd))
    assert sentence_of(answer, 404) in {"Integration not found", "Connection not found", "Not found"}
    assert calls() == []


@pytest.mark.parametrize("path", ["/api/nango/connect-session", "/api/connections/delete"])
@pytest.mark.parametrize("odd", ["x?provider_config_key=other#", "x&provider_config_key=other", "x/../other", "x%2Fy"])
def test_a_connection_id_is_one_value_to_every_question(alice_api, sandbox, calls, path, odd):
    answer = alice_api.post(path, {"integration_id": "acme", "connection_id": odd})
    assert sentence_of(answer, 404) == "Connection not found"
    # It was asked about as a whole, or not at all.
    wanted = f"&connectionId={odd}&limit="
    assert [wanted in call or wanted in unquote(call) for call in calls()] == [True], calls()
    assert not any(call.startswith("DELETE") for call in calls())


@pytest.mark.parametrize(
    "query",
    [
        "",
        "connection_id",
        "connection_id=",
        "connection_id=%00",
        "connection_id=a%00b",
        "connection_id=a&connection_id=b",
        "connection_id=a&connection_id=a",
        "connection_id=..",
        "connection_id=" + "x" * 1_000_000,
        "connection_id=a%0d%0ab",
        "&".join("connection_id=a" for _ in range(3_000)),
        "%00=1",
        "connection_id[]=a",
        "Connection_ID=a",
    ],
    ids=lambda query: query[:40],
)
def test_an_odd_query_is_refused(alice_api, calls, query):
    sentence = sentence_of(alice_api.request("GET", f"/api/credentials/acme?{query}"), 400)
    assert calls() == []
    assert "x" * 50 not in sentence


@pytest.mark.parametrize("query", ["connection_id=%ff%fe", "connection_id=%ed%a0%80", "%c3=1&connection_id=mine"])
def test_malformed_utf8_in_a_query_is_refused(alice_api, calls, query):
    answer = alice_api.request("GET", f"/api/credentials/acme?{query}")
    assert sentence_of(answer, 400) == "The address's query is not UTF-8."
    assert calls() == []


ODD_QUERIES = {
    "a=1&a=2": "The parameter a is given more than once.",
    "a=1&a=1": "The parameter a is given more than once.",
    "a=%00": "a: Null characters are not allowed.",
    "%00=1": "?: Null characters are not allowed.",
    "a=%ff": "The address's query is not UTF-8.",
    "a=\xff": "The address's query is not UTF-8.",
    "&".join(f"a{number}=1" for number in range(51)): "There are too many parameters.",
}
UNREAD = ("/api/integrations", "/api/integrations/acme/connections", "/api/cloud-dev/list", "/api/docs/openapi.json")


@pytest.mark.parametrize("query", ODD_QUERIES, ids=lambda query: query[:10])
@pytest.mark.parametrize("path", UNREAD)
def test_an_odd_query_is_refused_where_none_is_read_too(alice_api, calls, path, query):
    answer = alice_api.request("GET", path, QUERY_STRING=query)
    assert sentence_of(answer, 400) == ODD_QUERIES[query]
    assert calls() == []


@pytest.mark.parametrize("path", POSTS)
def test_an_odd_query_is_refused_of_writing_routes_too(alice_api, path):
    for query, sentence in ODD_QUERIES.items():
        assert sentence_of(alice_api.request("POST", path, QUERY_STRING=query), 400) == sentence


@pytest.mark.parametrize("query", ODD_QUERIES, ids=lambda query: query[:10])
def test_a_stranger_hears_of_the_token_first(nobody_api, query):
    sentence_of(nobody_api.request("GET", "/api/integrations", QUERY_STRING=query), 401)


def test_parameters_that_nobody_reads_are_overlooked(alice_api, sandbox):
    assert alice_api.request("GET", "/api/integrations?a=1&b=&%F0%9F%A6%8A=%20").status_code == 200


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("", "code"),
        ("code=00000000", "secret"),
        ("secret=x", "code"),
        ("code=&secret=x", "code"),
        ("code=%00&secret=x", "code"),
        ("code=00000000&secret=%00", "secret"),
        ("code=" + "0" * 1_000_000 + "&secret=x", "code"),
        ("code=00000000&secret=" + "0" * 1_000_000, "secret"),
        ("code=1&code=2&secret=x", "code"),
        ("code=%ff&secret=x", "UTF-8"),
        ("code=00000000&secret=%ed%a0%80", "UTF-8"),
    ],
    ids=lambda part: part[:40],
)
def test_an_odd_poll_is_refused_and_the_parameter_named(nobody_api, query, named):
    sentence = sentence_of(nobody_api.request("GET", f"/api/auth/cli/check?{query}"), 400)
    assert named in sentence
    assert "0" * 50 not in sentence


@pytest.mark.parametrize("code", ["ABCDEF01", "0000000g", "%F0%9F%A6%8A", "' OR 1=1 --"])
def test_a_poll_for_a_code_that_cannot_be_is_told_that_it_expired(nobody_api, code):
    answer = nobody_api.request("GET", f"/api/auth/cli/check?code={quote(code, safe='%')}&secret=x")
    assert (answer.status_code, answer.json()) == (200, {"data": {"status": "expired"}})


@pytest.mark.parametrize(
    "path",
    [
        "/api", "/api/", "//api/x", "/api//", "/api/%2e%2e/x", "/api/../admin/", "/api/x", "/api/%00", "/api/%ff",
        "/api/integrations/", "/api/docs/", "/api/auth/cli/session/", "/api/" + "x" * 5_000, "/api/" + "x/" * 2_000,
        "/webhooks", "/webhooks/", "/webhooks/x", "/_", "/_/", "/_/x", "/_/health/",
    ],
    ids=lambda path: path[:40],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "TRACE"])
def test_an_unknown_address_of_the_api_is_json(alice_api, nobody_api, method, path):
    for api in (alice_api, nobody_api):
        # Django's client takes "//api" for a host, so the path goes the long way.
        answer = api.request(method, "/", PATH_INFO=path) if path.startswith("//") else api.request(method, path)
        assert sentence_of(answer, 404) == "Not found"


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "OPTIONS", "PUT", "PATCH", "DELETE", "BREW"])
@pytest.mark.parametrize("path", [*GETS, *POSTS, "/_/health", "/_/ready"])
def test_a_method_that_is_not_there_is_refused(alice_api, path, method):
    answer = alice_api.request(method, path, data=b"{", content_type="application/json")
    assert sentence_of(answer, 405) == "This method is not possible at this address."


@pytest.mark.parametrize("path", GETS)
def test_reading_routes_take_no_post_and_say_what_they_take(alice_api, path):
    answer = alice_api.post(path, {})
    sentence_of(answer, 405)
    assert answer["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", POSTS)
def test_writing_routes_take_no_get_and_say_what_they_take(alice_api, path):
    for method in ("GET", "HEAD"):
        answer = alice_api.request(method, path)
        assert (answer.status_code, answer["Content-Type"], answer["Allow"]) == (405, "application/json", "POST")


@pytest.mark.parametrize("path", ["/api/integrations", "/api/docs/openapi.json", "/_/health", "/_/ready", "/api/docs"])
def test_head_is_get_without_a_body(alice_api, sandbox, path):
    assert alice_api.request("HEAD", path).status_code == alice_api.request("GET", path).status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer", "Bearer ", "Bearer  ", "bearer x", "Bearer a b", "Token x", "Basic YWxpY2U6eA==", "Bearer\tx",
        "Bearer \xff\xfe", "Bearer x\x00y", "\x00", "Bearer " + "x" * 100_000, "x" * 100_000, "Bearer ,Bearer x",
    ],
    ids=lambda authorization: authorization[:20],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/api/integrations", "/api/credentials/acme?connection_id=mine"])
def test_an_authorization_that_cannot_be_is_refused_and_not_repeated(nobody_api, path, authorization):
    answer = nobody_api.request("GET", path, headers={"Authorization": authorization})
    sentence = sentence_of(answer, 401)
    metadata = "http://testserver/.well-known/oauth-protected-resource/api"
    challenge = f'Bearer realm="crayon", error="invalid_token", resource_metadata="{metadata}"'
    assert answer["WWW-Authenticate"] == challenge
    assert "xxx" not in sentence


@pytest.mark.parametrize("host", ["evil.example.com", "", "testserver\x00", "[::1", "a" * 5_000, "é"])
@pytest.mark.parametrize("path", ["/api/integrations", "/api/x", "/api", "/webhooks/nango", "/api/docs/openapi.json"])
def test_another_host_is_refused_in_json_and_not_repeated(alice_api, path, host):
    answer = alice_api.request("GET", path, HTTP_HOST=host)
    assert sentence_of(answer, 400) == "The request can't be read."
    assert "evil" not in answer.content.decode()


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Request-ID": "a\r\nX-Injected: 1"},
        {"X-Request-ID": "x" * 10_000},
        {"X-Request-ID": "<b>"},
        {"X-Request-ID": "\x00" * 8},
        {"User-Agent": "\xff\x00" * 500},
        {"Cache-Control": "\x00,,,no-cache;;" * 500},
        {"X-Forwarded-For": "\x00, 1.2.3.4, ::1, " * 100},
        {"Accept": "text/html"},
        {"Accept": "\xff"},
        {"Accept-Language": "\x00"},
        {"Accept-Encoding": "x" * 5_000},
        {"Range": "bytes=0-99999999999999999999"},
        {"If-None-Match": '"' * 5_000},
        {"Cookie": 'session="\\000\\000\\000\\000\\000\\000\\000\\000"; =; ;;\xff'},
        {"X-HTTP-Method-Override": "DELETE"},
        {"X-Nango-Hmac-Sha256": "\xff\x00"},
        {"Content-Type": "\x00; charset=\xff"},
    ],
    ids=lambda headers: next(iter(headers.items()))[0],
)
def test_odd_headers_change_nothing(alice_api, sandbox, headers):
    answer = alice_api.request("GET", "/api/integrations", headers=headers)
    assert answer.status_code == 200
    assert "X-Injected" not in answer.headers
    assert 8 <= len(answer["X-Request-ID"]) <= 64
    assert answer["X-Request-ID"].isalnum()
    started = alice_api.request("POST", "/api/auth/cli/session", headers=headers)
    assert started.status_code == 200
    refused = alice_api.request("POST", "/webhooks/nango", headers=headers)
    sentence_of(refused, 401)
    assert alice_api.request("GET", "/api/docs/openapi.json", headers=headers).status_code == 200


def test_two_dots_are_an_id_like_any_other(alice_api, calls):
    answer = alice_api.request("GET", "/api/integrations/%2e%2e/connections")
    assert (answer.status_code, answer.json()) == (200, {"data": []})
    assert ["&integrationId=..&" in call for call in calls()] == [True]


def test_a_call_to_nango_would_have_been_seen(alice_api, calls):
    alice_api.get("/api/integrations")
    assert calls() == ["GET /integrations?"]
