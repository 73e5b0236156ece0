"""Clients that send a request in part, in drops or not at all, or don't hang up: others are served all the same."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.fuzz.wire import read_answer, request, send
from tests.gunicorn_process import GunicornProcess

# More than one worker has threads.
MANY = 30
FORM_TYPE = "Content-Type: application/x-www-form-urlencoded"
HALF_A_HEAD = b"GET /_/health HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer not-a-secret-0123"
HEAD = request("POST", "/api/auth/cli/session", "Content-Type: application/json", "Content-Length: 50")
# Without the cookie the form would be refused unread.
FORM = request("POST", "/auth/github", f"Cookie: csrf={'a' * 32}", FORM_TYPE, "Content-Length: 50")
CHUNKED = request("POST", "/api/auth/cli/session", "Transfer-Encoding: chunked")


@contextmanager
def clients(server: GunicornProcess, sent: bytes, count: int = MANY) -> Iterator[list[socket.socket]]:
    """Connections that have sent as much, and stay open."""
    with ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=20)) for _ in range(count)
        ]
        for connection in connections:
            connection.sendall(sent)
        yield connections


def seconds_until_served(server: GunicornProcess) -> float:
    began = time.monotonic()
    assert send(server, request("GET", "/_/health")).status == 200
    return time.monotonic() - began


@pytest.fixture
def calm(server):
    """The server, which must have written neither a traceback nor what was sent."""
    before = len(server.log)
    yield server
    written = server.log[before:]
    assert "Traceback" not in written
    assert "not-a-secret" not in written


@pytest.mark.slow(10)
@pytest.mark.parametrize(
    "sent",
    [HALF_A_HEAD, HEAD + b"{", FORM + b"a", CHUNKED + b"5\r\n{"],
    ids=["head", "body", "form", "chunks"],
)
def test_half_a_request_keeps_no_thread_and_is_given_up(calm, sent):
    with clients(calm, sent) as connections:
        assert seconds_until_served(calm) < 2
        answer = read_answer(connections[0])
        assert (answer.status, answer.sentence) == (408, "This request took too long to arrive.")


def test_who_sends_nothing_at_all_keeps_nobody_waiting(calm):
    with clients(calm, b"") as connections:
        time.sleep(0.5)
        assert seconds_until_served(calm) < 2
        connections[0].sendall(request("GET", "/_/health"))
        assert read_answer(connections[0]).status == 200


def test_who_does_not_hang_up_after_the_answer_keeps_nobody_waiting(calm):
    with clients(calm, b"GET /_/health HTTP/1.0\r\n\r\n"):
        time.sleep(0.5)
        assert seconds_until_served(calm) < 2


@pytest.mark.slow(10)
def test_a_request_in_drops_is_given_up(calm):
    with clients(calm, HALF_A_HEAD, count=1) as (connection,):
        began = time.monotonic()
        connection.settimeout(0.5)
        while time.monotonic() - began < 20:
            connection.sendall(b"x")
            try:
                if connection.recv(1, socket.MSG_PEEK):
                    break
            except TimeoutError:
                continue
        assert read_answer(connection).status == 408


def test_a_request_in_two_parts_is_served(calm):
    with clients(calm, HEAD + b"{", count=1) as (connection,):
        time.sleep(2)
        connection.sendall(b" " * 48 + b"}" + request("GET", "/_/health"))
        assert read_answer(connection).status == 200
