"""POST /api/deploy/push to the running server: large archives, slow lines, bodies in chunks, and many at once."""

import base64
import gzip
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from select import select
from typing import Any

import pytest

from config.gunicorn_worker.worker import REQUEST_SECONDS, Unreader
from deployments.models import Build
from tests.conftest import make_person, token_of
from tests.deployments.archive_builder import entry, packed, tar
from tests.deployments.builders import make_deployment
from tests.fuzz.wire import WireAnswer, chunks, read_answer, request, send
from tests.gunicorn_process import GunicornProcess
from tests.stopwatch import Stopwatch

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]
RAW = "/api/deploy/push?appName=shop&commitHash=abc"
PATH = "/api/deploy/push"
GZIP, JSON, CHUNKED = "Content-Type: application/gzip", "Content-Type: application/json", "Transfer-Encoding: chunked"
MEGABYTE = 1 << 20
ARCHIVE = packed(entry("noise", os.urandom(300_000)))


@pytest.fixture(scope="module")
def storage(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="module")
def started(django_db_setup, sandbox_of_worker, storage) -> Iterator[GunicornProcess]:
    with GunicornProcess(sandbox=sandbox_of_worker, environment={"STORAGE_FOLDER": str(storage)}) as process:
        yield process


@pytest.fixture
def bearer(transactional_db, sandbox) -> str:
    """alice's header; her app is there."""
    alice = make_person("alice")
    sandbox.add_fly_app(make_deployment(alice).fly_app_id)
    return f"Authorization: Bearer {token_of(alice)}"


@contextmanager
def connected(server: GunicornProcess, sent: bytes) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(sent)
        yield connection


def peak_growth(server: GunicornProcess, act: Callable[[], WireAnswer]) -> tuple[int, WireAnswer]:
    """By how many bytes the server's worker grew at most, beyond what it had before."""
    (pid,) = server._worker_pids()
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")  # proc(5): resets the peak
    before = memory(pid, "VmRSS")
    answer = act()
    return memory(pid, "VmHWM") - before, answer


def memory(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024


@pytest.fixture(scope="module")
def hundred() -> bytes:
    """An archive of almost 100 MB."""
    noise = os.urandom(99 * MEGABYTE)
    return gzip.compress(tar(entry("noise", noise)), compresslevel=0)


@pytest.mark.parametrize("form", ["raw", "json", "raw in chunks", "json in chunks"])
def test_a_hundred_megabytes_are_received_in_a_few(started, bearer, storage, hundred, form):
    if form.startswith("raw"):
        path, kind, parts = RAW, GZIP, (hundred,)
    else:
        path, kind = PATH, JSON
        parts = (b'{"appName": "shop", "archive": "', base64.b64encode(hundred), b'", "commitHash": "abc"}')
    pieces = [part[at : at + MEGABYTE] for part in parts for at in range(0, len(part), MEGABYTE)]
    if form.endswith("chunks"):
        head, body = request("POST", path, bearer, kind, CHUNKED), (b"%x\r\n%s\r\n" % (len(p), p) for p in pieces)
        end = b"0\r\n\r\n"
    else:
        head, body = request("POST", path, bearer, kind, f"Content-Length: {sum(map(len, parts))}"), iter(pieces)
        end = b""

    def push() -> WireAnswer:
        with connected(started, head) as connection:
            for piece in body:
                connection.sendall(piece)
            connection.sendall(end)
            return read_answer(connection)

    send(started, request("POST", RAW, bearer, GZIP, body=ARCHIVE))  # what is loaded once is loaded
    growth, answer = peak_growth(started, push)

    assert answer.status == 200, answer
    assert growth < 32 * MEGABYTE, f"{growth / MEGABYTE:.0f} MB"
    build = Build.objects.get(pk=json.loads(answer.body)["data"]["buildId"])
    assert (build.archive_bytes, build.commit) == (len(hundred), "abc")
    assert (storage / build.archive).stat().st_size == len(hundred)
    (storage / build.archive).unlink()


@pytest.mark.parametrize(
    ("path", "kind", "length"),
    [(RAW, GZIP, 101 * MEGABYTE), (PATH, JSON, 160 * MEGABYTE), (RAW, GZIP, 10**15), (PATH, JSON, 10**30)],
)
def test_what_is_announced_too_large_is_refused_before_it_comes(started, bearer, path, kind, length):
    answer = send(started, request("POST", path, bearer, kind, f"Content-Length: {length}"))
    assert answer.status == 413
    assert answer.sentence.startswith("archive: The archive is larger than 100 MB.")


def test_chunks_without_end_are_refused(started, bearer):
    piece = chunks([os.urandom(MEGABYTE)]).removesuffix(b"0\r\n\r\n")
    answer = send(started, request("POST", RAW, bearer, GZIP, CHUNKED), *[piece] * 101)
    assert answer.status in {413, 0}  # the connection may be cut before all is said
    assert not Build.objects.exists()


@pytest.mark.parametrize("lines", [(), ("Authorization: Bearer unknown",)])
def test_strangers_are_refused_before_anything_is_read(started, bearer, lines):
    answer = send(started, request("POST", RAW, *lines, GZIP, f"Content-Length: {50 * MEGABYTE}"))
    assert answer.status == 401


def test_an_app_that_is_not_there_is_told_before_anything_is_read(started, bearer):
    path = RAW.replace("shop", "blog")
    answer = send(started, request("POST", path, bearer, GZIP, f"Content-Length: {50 * MEGABYTE}"))
    assert (answer.status, answer.sentence) == (404, "You have no app of this name. Prepare it first.")


@pytest.mark.parametrize("body", [b"zz\r\nx\r\n0\r\n\r\n", b"2\r\nxx-0\r\n\r\n"])
def test_chunks_that_do_not_add_up_are_refused(started, bearer, body):
    answer = send(started, request("POST", RAW, bearer, GZIP, CHUNKED), body)
    assert (answer.status, answer.sentence) == (400, "The request did not arrive whole. Push again.")


@pytest.mark.parametrize(("path", "kind"), [(RAW, GZIP), (PATH, JSON)])
def test_a_line_that_breaks_leaves_nothing(started, bearer, storage, path, kind):
    before = len(started.log)
    send(started, request("POST", path, bearer, kind, "Content-Length: 1000000"), b"{" * 5000, close_early=True)
    deadline = time.monotonic() + 30
    while "/api/deploy/push" not in started.log[before:] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "/api/deploy/push" in started.log[before:]
    assert "Traceback" not in started.log[before:]
    assert not Build.objects.exists()


@pytest.mark.slow(10)
def test_a_body_in_drops_is_given_up(started, bearer):
    head = request("POST", RAW, bearer, GZIP, "Content-Length: 1000000")
    with connected(started, head) as connection:
        connection.settimeout(0.5)
        with Stopwatch() as watch:
            for _ in range(60):
                connection.sendall(b"\x1f")
                try:
                    if connection.recv(1, socket.MSG_PEEK):
                        break
                except TimeoutError:
                    continue
        answer = read_answer(connection)
    assert (answer.status, answer.sentence) == (400, "The request did not arrive whole. Push again.")
    assert watch.seconds > REQUEST_SECONDS - 1
    assert watch.at_ease < REQUEST_SECONDS + 6


@pytest.mark.parametrize(("is_large", "received", "goes_on"), [(True, 1, True), (True, 0, False), (False, 1, False)])
def test_only_a_large_body_earns_its_time_by_coming(is_large, received, goes_on):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        unreader = Unreader(ours)
        unreader.is_large = is_large
        theirs.sendall(b"x" * 64 * 1024 * received + b"y")
        while received and unreader.earned < 0.99 and is_large:
            unreader.chunk(64 * 1024)
        unreader.waited = REQUEST_SECONDS + 0.5
        theirs.sendall(b"z")
        if goes_on:
            assert unreader.chunk(1)
        else:
            with pytest.raises(TimeoutError):
                unreader.chunk(1)
        unreader.begin_request()
        assert (unreader.waited, unreader.earned, unreader.is_large) == (0, 0, False)


def test_one_person_keeps_few_places_and_gives_them_back(started, bearer):
    head = request("POST", RAW, bearer, GZIP, f"Content-Length: {len(ARCHIVE)}")
    with ExitStack() as stack:
        begun = [stack.enter_context(connected(started, head + ARCHIVE[:1000])) for _ in range(4)]
        (refused,) = select(begun, [], [], 4)[0]  # whichever came last
        answer = read_answer(refused)
        assert answer.status == 503
        assert answer.sentence == "Too many pushes are being received right now. Push again in a minute."
        assert answer.headers["retry-after"] == "60"
        assert send(started, request("GET", "/api/deploy/status?appName=shop", bearer)).status == 200
        held = next(connection for connection in begun if connection is not refused)
        held.sendall(ARCHIVE[1000:])
        assert read_answer(held).status == 200
    assert _eventually([200, 200, 200], lambda: _at_once(started, 3, head)) == [200, 200, 200]


def _at_once(server: GunicornProcess, count: int, head: bytes) -> list[int]:
    """The statuses of pushes that all have come half-way before the first one is finished."""
    with ExitStack() as stack:
        begun = [stack.enter_context(connected(server, head + ARCHIVE[:1000])) for _ in range(count)]
        select(begun, [], [], 0.2)  # a refusal would come now
        for connection in begun:
            connection.sendall(ARCHIVE[1000:])
        return [read_answer(connection).status for connection in begun]


def _eventually(expected: Any, ask: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 30
    while (answer := ask()) != expected and time.monotonic() < deadline:
        time.sleep(0.2)
    return answer
