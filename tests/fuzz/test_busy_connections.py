"""Connections that ask on and on: nobody waits for their end."""

import socket
from collections.abc import Iterator

import pytest

from tests.fuzz.wire import read_answer, request
from tests.gunicorn_process import GunicornProcess

pytestmark = pytest.mark.django_db(transaction=True)
HEALTH = request("GET", "/_/health")


@pytest.fixture(scope="module")
def one_thread(django_db_setup, sandbox_of_worker) -> Iterator[GunicornProcess]:
    with GunicornProcess(
        sandbox=sandbox_of_worker, environment={"WEB_THREADS": "1", "TRUSTED_PROXY_COUNT": "1"}
    ) as process:
        yield process


def connected(server: GunicornProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def ready(line: socket.socket) -> bytes:
    """What has come so far."""
    try:
        return line.recv(1 << 20, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return b""


def test_requests_on_one_connection_are_answered_in_order(one_thread):
    with connected(one_thread) as line:
        for number in range(30):
            line.sendall(request("GET", "/_/health", f"X-Request-ID: number-{number:03}"))
            answer = read_answer(line)
            assert (answer.status, answer.headers["x-request-id"]) == (200, f"number-{number:03}")


def test_who_sends_hundreds_at_once_keeps_nobody_waiting_for_them_all(one_thread):
    with connected(one_thread) as busy, connected(one_thread) as other:
        for line in (busy, other):
            line.sendall(HEALTH)
            assert read_answer(line).status == 200
        busy.sendall(HEALTH * 400)
        busy.recv(1, socket.MSG_PEEK)
        other.sendall(HEALTH)
        assert read_answer(other).status == 200
        received = ready(busy)
        assert received.count(b"HTTP/1.1 200") < 200
        while received.count(b"HTTP/1.1 200") < 400:
            piece = busy.recv(1 << 16)
            assert piece
            received += piece


def test_a_connection_that_falls_silent_gives_its_thread_back(one_thread):
    with connected(one_thread) as silent, connected(one_thread) as other:
        for _ in range(3):
            for line in (silent, other):
                line.sendall(HEALTH)
                assert read_answer(line).status == 200
