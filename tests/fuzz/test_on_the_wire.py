"""What reaches the running server before, or instead of, a request that Django can see."""

import json
import socket

import pytest

from accounts.models import CLILogin
from tests.conftest import make_person, token_of
from tests.fuzz.wire import chunks, request, send

pytestmark = pytest.mark.django_db(transaction=True)

JSON = "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"
SECRET = "not-a-secret-0123456789abcdef"
TOO_LONG = "The address or the headers of this request are too long. Shorten them and try again."
UNREADABLE = "This is not a request that can be read."


@pytest.fixture
def calm(quiet_server):
    """The server, which must be as well afterwards as before, and have said nothing of what was sent."""
    before = len(quiet_server.log)
    yield quiet_server
    assert send(quiet_server, request("GET", "/_/health")).status == 200
    written = quiet_server.log[before:]
    assert "Traceback" not in written
    assert SECRET not in written


def test_a_body_in_chunks_is_read(calm):
    body = json.dumps({"clientName": "crayon CLI", "hostname": "build-7"}).encode()
    pieces = [body[:3], body[3:20], body[20:]]
    answer = send(calm, request("POST", "/api/auth/cli/session", JSON, CHUNKED), chunks(pieces))
    assert answer.status == 200
    login = CLILogin.objects.get()
    assert (login.client_name, login.hostname) == ("crayon CLI", "build-7")


def test_answers_say_how_long_they_are(calm):
    for path in ("/_/health", "/api/x", "/auth/sign-in", "/api/docs"):
        answer = send(calm, request("GET", path))
        assert int(answer.headers["content-length"]) == len(answer.body) > 0
        assert "transfer-encoding" not in answer.headers


def test_an_answer_to_head_has_no_body(calm):
    answer = send(calm, request("HEAD", "/_/health") + request("GET", "/_/health"))
    assert (answer.status, answer.headers["content-length"]) == (200, "15")
    assert answer.body.startswith(b"HTTP/1.1 200")


def test_a_body_in_chunks_without_a_type_or_an_end_of_its_own_is_read_too(calm):
    answer = send(calm, request("POST", "/api/auth/cli/session", CHUNKED), chunks([b"{}"]))
    assert answer.status == 200


def test_a_body_in_chunks_that_is_no_json_is_refused(calm):
    answer = send(calm, request("POST", "/api/auth/cli/session", JSON, CHUNKED), chunks([b"{", b"x"]))
    assert (answer.status, answer.sentence) == (400, "The body is not valid JSON.")


def test_too_much_in_chunks_is_refused(calm):
    pieces = chunks([b'"' + b"x" * 65_535] * 40)
    answer = send(calm, request("POST", "/api/auth/cli/session", JSON, CHUNKED), pieces)
    assert (answer.status, answer.sentence) == (413, "The request's body is too large.")


@pytest.mark.parametrize("length", ["1048577", "99999999999", "9" * 30])
def test_a_body_that_is_announced_too_large_is_refused_before_it_comes(calm, length):
    answer = send(calm, request("POST", "/api/auth/cli/session", JSON, f"Content-Length: {length}"))
    assert (answer.status, answer.sentence) == (413, "The request's body is too large.")


@pytest.mark.parametrize("path", ["/auth/github", "/auth/sign-out", "/admin/login/", "/nowhere"])
def test_a_form_that_is_announced_too_large_is_refused_before_it_comes(quiet_server, path):
    lines = ("Content-Type: multipart/form-data; boundary=x", f"Content-Length: {300 << 20}")
    answer = send(
        quiet_server,
        request("POST", path, *lines),
        b'--x\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n',
    )
    assert (answer.status, b"Too large" in answer.body) == (413, True)


@pytest.mark.parametrize("size", ["200000", "fffffffffffffffffffffffff"])
def test_a_chunk_that_is_announced_too_large_is_refused_before_it_comes(calm, size):
    answer = send(calm, request("POST", "/api/auth/cli/session", JSON, CHUNKED), f"{size}\r\n".encode())
    assert (answer.status, answer.sentence) == (413, "The request's body is too large.")


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\n{}\r\n0\r\n\r\n",
        b"-2\r\n{}\r\n0\r\n\r\n",
        b"-6\r\n{}\r\n0\r\n\r\n",
        b"-fffffff\r\n{}\r\n0\r\n\r\n",
        b"+2\r\n{}\r\n0\r\n\r\n",
        b"1_0\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}xx0\r\n\r\n",
    ],
)
def test_chunks_that_do_not_add_up_are_refused(calm, body):
    answer = send(calm, request("POST", "/api/auth/cli/session", JSON, CHUNKED), body)
    assert (answer.status, answer.sentence) == (400, UNREADABLE)


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 2", CHUNKED),
        ("Content-Length: 2", "Content-Length: 3"),
        ("Content-Length: -1",),
        ("Content-Length: +2",),
        ("Content-Length: 2, 2",),
        ("Content-Length: two",),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: xchunked",),
        (f"Authorization: Bearer {SECRET}\x00",),
        (f"Authorization : Bearer {SECRET}",),
        (f"Authorization: Bearer\r\n {SECRET}",),
        (f"Authorization Bearer {SECRET}",),
        (f"Auth(or)ization: {SECRET}",),
    ],
    ids=lambda lines: " + ".join(lines)[:50],
)
def test_headers_that_can_be_read_in_two_ways_are_refused_and_not_repeated(calm, lines):
    answer = send(calm, request("POST", "/api/auth/cli/session", JSON, *lines, body=b"{}", length=False))
    assert (answer.status, answer.sentence) == (400, UNREADABLE)
    assert SECRET.encode() not in answer.body


@pytest.mark.parametrize(
    ("line", "status", "sentence"),
    [
        (f"Authorization: Bearer {SECRET}{'x' * 20_000}", 431, TOO_LONG),
        ("\r\n".join(f"X-{number}: {SECRET}" for number in range(300)), 431, TOO_LONG),
    ],
    ids=["one", "many"],
)
def test_headers_beyond_all_measure_are_refused_and_not_repeated(calm, line, status, sentence):
    answer = send(calm, request("GET", "/api/integrations", line))
    assert (answer.status, answer.sentence) == (status, sentence)
    assert SECRET.encode() not in answer.body


def test_an_address_beyond_all_measure_is_refused_and_not_repeated(calm):
    answer = send(calm, request("GET", f"/api/auth/cli/check?code=0&secret={SECRET}{'x' * 20_000}"))
    assert (answer.status, answer.sentence) == (414, TOO_LONG)
    assert SECRET.encode() not in answer.body


def test_what_was_never_a_request_has_an_id_of_its_own_in_answer_and_log(calm):
    head = request("GET", "/_/health", "X-Request-ID: the-one-before")
    assert send(calm, head).headers["x-request-id"] != "the-one-before"
    first, second = (send(calm, b"what\r\n\r\n").headers["x-request-id"] for _ in range(2))
    assert len({first, second, "the-one-before"}) == 3
    refusal = next(line for line in calm.log.splitlines() if first in line)
    assert "refused a request from" in refusal


@pytest.mark.parametrize(
    "sent",
    [
        f"GET /?secret={SECRET}\r\n\r\n".encode(),
        f"GET /?secret={SECRET} x y HTTP/1.1\r\n\r\n".encode(),
        f"G\x00T /?secret={SECRET} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
        f"GET /?secret={SECRET} HTTP/9.9\r\nHost: localhost\r\n\r\n".encode(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
    ids=["no version", "too many words", "a NUL", "a version of the future", "TLS"],
)
def test_what_is_no_request_line_is_refused_and_not_repeated(calm, sent):
    answer = send(calm, sent)
    assert (answer.status, answer.sentence) == (400, UNREADABLE)
    assert SECRET.encode() not in answer.body


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "//api/x", "//api/integrations", "/api/%2e%2e/x", "/api/../x", "/api//integrations"]
)
def test_unknown_addresses_are_json_however_they_are_spelled(calm, path):
    answer = send(calm, request("GET", path))
    assert (answer.status, answer.sentence) == (404, "Not found")


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("/api/integrations/%ff%fe%00/connections", 404, "Integration not found"),
        # Bytes that no address has are for gunicorn to refuse (RFC 3986, section 2).
        ("/api/integrations/\xff\xfe/connections", 400, UNREADABLE),
    ],
)
def test_malformed_utf8_in_the_path_is_unknown_or_refused(calm, path, status, sentence):
    token = token_of(make_person("alice"))
    answer = send(calm, request("GET", path, f"Authorization: Bearer {token}"))
    assert (answer.status, answer.sentence) == (status, sentence)


@pytest.mark.parametrize("line", ["SCRIPT_NAME: /api", "SCRIPT_NAME: /elsewhere", "PATH_INFO: /_/health"])
def test_no_header_changes_the_address_that_is_asked(calm, line):
    answer = send(calm, request("GET", "/api/integrations", line))
    assert answer.status == 401


@pytest.mark.parametrize("host", ["evil.example.com", "localhost\x7f", "localhost, evil.example.com"])
def test_another_host_is_refused_in_json(calm, host):
    answer = send(calm, request("GET", "/api/integrations", host=host))
    assert (answer.status, answer.sentence in {"The request can't be read.", UNREADABLE}) == (400, True)


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "OPTIONS", "BREW"])
def test_a_method_that_is_not_there_is_refused_in_json(calm, method):
    token = token_of(make_person("alice"))
    answer = send(calm, request(method, "/api/integrations", f"Authorization: Bearer {token}"))
    assert (answer.status, answer.sentence) == (405, "This method is not possible at this address.")


def test_somebody_who_hangs_up_half_way_harms_nobody(calm):
    head = request("POST", "/api/connections/create", JSON, "Content-Length: 1000")
    for part in (b"", head[:20], head, head + b'{"a'):
        send(calm, part, close_early=True)
    send(calm, request("POST", "/api/connections/create", JSON, CHUNKED), b"ff\r\n{", close_early=True)


def test_what_follows_a_refused_body_is_a_request_of_its_own(calm):
    refused = request("POST", "/api/auth/cli/session", "Content-Type: text/plain", body=b"GET /_/health HTTP/1.1")
    answer = send(calm, refused + request("GET", "/_/health"))
    assert answer.status == 415


@pytest.mark.parametrize("path", ["/api/integrations", "/auth/sign-in", "/_/health"])
def test_an_answer_to_head_ends_with_its_headers(calm, path):
    with socket.create_connection(("127.0.0.1", calm.port), timeout=15) as line:
        line.sendall(request("HEAD", path, length=False) + request("GET", "/_/health", "Connection: close"))
        received = b"".join(iter(lambda: line.recv(1 << 16), b""))
    head, _, rest = received.partition(b"\r\n\r\n")
    assert b"Content-Length: 0" not in head
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")
