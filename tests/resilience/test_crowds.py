"""Hundreds of connections that send or receive too slowly to ever end: everybody else is served as if alone."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median

import psutil
import pytest

from config.gunicorn_worker.client_sockets import ClientSocket
from tests.conftest import token_of
from tests.deployments.worker_harness import wait_until_held
from tests.fuzz.wire import chunks, read_answer, request, send
from tests.gunicorn_process import GunicornProcess
from tests.stopwatch import times_as_long

CROWD = 200
LARGE_FILE = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"
JSON = "Content-Type: application/json"
SENT = {
    "slow heads": b"GET /_/health HTTP/1.1\r\nHost: localhost\r\nX-Padding: ",
    "slow bodies": request("POST", "/api/auth/cli/session", JSON, "Content-Length: 900000") + b"{",
    "slow chunks": request("POST", "/api/auth/cli/session", JSON, "Transfer-Encoding: chunked") + b"fff\r\n{",
    "slow pushes": request("POST", "/api/deploy/push?appName=shop", "Content-Length: 900000") + b"{",
    "slow readers": request("GET", LARGE_FILE) * 6,
}
ONE_ADDRESS, FIFTY_ADDRESSES = ["127.0.0.1"], [f"127.0.0.{number}" for number in range(2, 52)]


@contextmanager
def crowd(server: GunicornProcess, sent: bytes, addresses: list[str]) -> Iterator[list[socket.socket]]:
    """Connections from these addresses that have sent as much, and take little."""
    with ExitStack() as stack:
        lines = []
        for number in range(CROWD):
            line = stack.enter_context(socket.socket())
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            line.bind((addresses[number % len(addresses)], 0))
            line.settimeout(20)
            line.connect(("127.0.0.1", server.port))
            line.sendall(sent)
            lines.append(line)
        yield lines


def seconds_of(ask) -> float:
    began = time.monotonic()
    assert ask().status == 200
    return time.monotonic() - began


def seconds_worked(server: GunicornProcess) -> float:
    """CPU time of the server's worker."""
    times = psutil.Process(server.worker_pid).cpu_times()
    return times.user + times.system


@pytest.mark.parametrize("addresses", [ONE_ADDRESS, FIFTY_ADDRESSES], ids=["from one address", "from fifty"])
@pytest.mark.parametrize("kind", SENT)
def test_a_crowd_slows_nobody_down(server, alices, kind, addresses, record_property):
    alices.create("main")
    alices.credentials("main")
    slowness = [times_as_long()]
    with crowd(server, SENT[kind], addresses) as lines:
        taken: list[float] = []
        for round_ in range(10):
            taken.append(seconds_of(lambda: send(server, request("GET", "/_/health"))))
            taken.append(seconds_of(lambda: alices.credentials("main")))
            if round_ in {0, 4, 9}:
                slowness.append(times_as_long())
            if kind != "slow readers":
                for line in lines:
                    with_what_comes = b"a" if kind != "slow chunks" else b"{"
                    try:
                        line.send(with_what_comes)
                    except OSError:
                        assert kind == "slow pushes"  # whose sender was told to sign in
    record_property("milliseconds", [round(seconds * 1000) for seconds in taken])
    record_property("slowness", max(slowness))
    # Where others work, too, a fifth of a second of the server's takes as much longer as our own work does.
    assert median(taken) < 0.2 * median(slowness)
    assert max(taken) < 0.2 * max(slowness)


@pytest.mark.parametrize("kind", ["slow readers", "slow pushes"])
def test_who_comes_behind_a_crowd_does_not_wait_for_all_of_its_work(server, kind, record_property):
    with server.halted(), ExitStack() as stack:
        before = seconds_worked(server)
        lines = stack.enter_context(crowd(server, SENT[kind], FIFTY_ADDRESSES))
        line = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=20))
        line.sendall(request("GET", "/_/health"))
        # All are there when the server gets to see the first one.
        server.go_on()
        assert read_answer(line).status == 200
        worked = seconds_worked(server) - before
        assert all(line.recv(1) for line in lines)
        in_all = seconds_worked(server) - before
    record_property("seconds", [worked, in_all])
    # Served in the order of their coming, it would have been nearly all.
    assert worked < in_all * 0.8


def test_who_takes_the_answer_slowly_gets_all_of_it(server):
    whole = send(server, request("GET", LARGE_FILE)).body
    sent = request("GET", LARGE_FILE) + request("GET", LARGE_FILE, "Connection: close")
    with crowd(server, sent, ONE_ADDRESS) as lines:
        time.sleep(0.5)
        for line in lines[:3]:
            received = b"".join(iter(lambda line=line: line.recv(1 << 16), b""))
            first, second = (part.partition(b"\r\n\r\n")[2] for part in received.split(b"HTTP/1.1 200 OK")[1:])
            assert first == second == whole


def test_more_connections_than_there_may_be_cost_the_crowd_its_oldest(sandbox_of_worker, db):
    environment = {"GUNICORN_CMD_ARGS": "--worker-connections 40 --threads 4"}
    with GunicornProcess(sandbox=sandbox_of_worker, environment=environment) as small, ExitStack() as stack:
        patient = stack.enter_context(
            socket.create_connection(("127.0.0.1", small.port), source_address=("127.0.0.9", 0))
        )
        patient.settimeout(20)
        patient.sendall(request("GET", "/_/health"))
        assert read_answer(patient).status == 200
        lines = stack.enter_context(crowd(small, SENT["slow heads"], ONE_ADDRESS))
        assert send(small, request("GET", "/_/health")).status == 200
        lines[0].settimeout(5)
        assert lines[0].recv(1) == b""
        patient.sendall(request("GET", "/_/health"))
        assert read_answer(patient).status == 200


@pytest.mark.slow(11)
def test_whole_bodies_that_wait_for_a_thread_are_no_more_than_fit_in_memory(sandbox, sandbox_of_worker, persons):
    token = f"Authorization: Bearer {token_of(persons['alice'])}"
    large = request("POST", "/api/auth/cli/session", JSON, body=b'{"x": "' + b"x" * 1_000_000 + b'"}')
    with (
        GunicornProcess(sandbox=sandbox_of_worker, environment={"WEB_THREADS": "1"}) as small,
        ExitStack() as stack,
    ):
        sandbox.faults(target="nango", match="GET *", delay=4, times=1)
        busy = stack.enter_context(socket.create_connection(("127.0.0.1", small.port), timeout=30))
        busy.sendall(request("GET", "/api/integrations", token))
        wait_until_held(sandbox)
        lines = [
            stack.enter_context(socket.create_connection(("127.0.0.1", small.port), timeout=30)) for _ in range(80)
        ]
        for line in lines:
            line.sendall(large)
        answers = [read_answer(line) for line in lines]
        refused = [answer for answer in answers if answer.status == 503]
        told = {answer.sentence for answer in refused}
        assert told == {"Too much is being received right now. Try again in a minute."}
        assert 10 < len(refused) < 30
        # All of it has been given back.
        assert send(small, large).status != 503


@pytest.mark.parametrize("size", [10, 300_000, 3_000_000])
def test_what_a_client_does_not_take_is_kept_and_sent_in_order(size):
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with ClientSocket(ours) as sender, theirs:
        sent = b"".join(bytes([number]) * (size // 10) for number in range(10))
        for at in range(0, size, size // 10):
            sender.sendall(sent[at : at + size // 10])
        received = b""
        theirs.setblocking(False)
        while len(received) < size:
            sender.send_more()
            received += theirs.recv(1 << 16)
        assert received == sent
        assert sender.send_more()
        assert (list(sender.unsent), sender.kept) == ([], 0)


def test_a_file_that_was_closed_meanwhile_is_sent_whole(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"0123456789" * 100_000)
    ours, theirs = socket.socketpair()
    with ClientSocket(ours) as sender, theirs:
        with path.open("rb") as file:
            sender.sendall(b"head ")
            assert sender.sendfile(file, offset=10, count=999_980) == 999_980
        sender.sendall(b" end")
        path.unlink()
        received = b""
        theirs.setblocking(False)
        while not sender.send_more() or len(received) < 999_989:
            received += theirs.recv(1 << 16)
        assert received == b"head " + b"0123456789" * 99_998 + b" end"


def test_who_asks_before_sending_is_told_to_go_on_and_only_when_the_body_is_wanted(server, alices):
    expecting = ("Expect: 100-continue", JSON)
    body = b'{"clientName": "crayon CLI", "hostname": "laptop"}'
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        line.sendall(request("POST", "/api/auth/cli/session", *expecting, f"Content-Length: {len(body)}"))
        assert line.recv(1 << 16) == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.sendall(body)
        assert read_answer(line).status == 200
    for path, length, status in (
        ("/api/auth/cli/session", 5 << 20, 413),
        ("/api/deploy/push?appName=shop", 5 << 20, 401),
    ):
        answer = send(server, request("POST", path, *expecting, f"Content-Length: {length}"))
        assert answer.status == status


def test_a_body_in_chunks_that_are_mostly_not_body_is_refused(server):
    padded = b"".join(b"1;" + b"x" * 8000 + b"\r\na\r\n" for _ in range(600))
    head = request("POST", "/api/auth/cli/session", JSON, "Transfer-Encoding: chunked")
    answer = send(server, head, padded)
    assert (answer.status, answer.sentence) == (413, "The request's body is too large.")


def test_a_body_comes_in_as_many_parts_as_it_likes(server):
    body = chunks([b'{"clientName":', b' "crayon CLI", "hostname"', b': "laptop"}'])
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request("POST", "/api/auth/cli/session", JSON, "Transfer-Encoding: chunked") + body:
            line.sendall(bytes([byte]))
        line.sendall(request("GET", "/_/health"))
        assert read_answer(line).status == 200
