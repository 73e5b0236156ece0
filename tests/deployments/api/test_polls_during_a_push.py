"""GET /api/deploy/status while the same server takes in an archive that takes long to check: nobody waits for it."""

import gzip
import json
import os
import socket
import threading
import time

import pytest

from deployments.models import Build
from tests.conftest import make_person, token_of
from tests.deployments.archive_builder import entry, tar
from tests.deployments.builders import make_deployment
from tests.fuzz.wire import read_answer, request, send
from tests.gunicorn_process import GunicornProcess
from tests.job_worker_process import Ground
from tests.stopwatch import Stopwatch

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]
FILES, FILE_BYTES = 40_000, 1500
AT_MOST_SECONDS = 1.0


class Polls(threading.Thread):
    """Somebody who asks again and again; `made` are the beginning, the end and the status of each."""

    def __init__(self, server: GunicornProcess, bearer: str) -> None:
        super().__init__()
        self.server, self.asked = server, request("GET", "/api/deploy/status?appName=shop", bearer)
        self.made: list[tuple[float, float, int]] = []
        self.watches: list[Stopwatch] = []
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.05):
            began = time.monotonic()
            with Stopwatch() as watch:
                answer = send(self.server, self.asked)
            self.made.append((began, time.monotonic(), answer.status))
            self.watches.append(watch)


@pytest.fixture(scope="module")
def archive() -> bytes:
    """60 MB in many files: each of them is a step of the check."""
    noise = os.urandom(FILE_BYTES)
    entries = (entry(f"src/{number}.js", noise) for number in range(FILES))
    return gzip.compress(tar(*entries), compresslevel=0)


@pytest.mark.slow(10)
def test_polls_stay_quick_while_a_large_archive_is_checked(
    sandbox, running_push_server: GunicornProcess, ground_of_worker: Ground, archive: bytes
):
    alice = make_person("alice")
    sandbox.add_fly_app(make_deployment(alice).fly_app_id)
    bearer = f"Authorization: Bearer {token_of(alice)}"
    length = f"Content-Length: {len(archive)}"
    head = request("POST", "/api/deploy/push?appName=shop", bearer, "Content-Type: application/gzip", length)
    polls = Polls(running_push_server, bearer)
    with socket.create_connection(("127.0.0.1", running_push_server.port), timeout=120) as connection:
        polls.start()
        try:
            connection.sendall(head + archive)
            sent_at = time.monotonic()
            answer = read_answer(connection)
            answered_at = time.monotonic()
        finally:
            polls.over.set()
            polls.join()

    assert answer.status == 200, answer
    build = Build.objects.get(pk=json.loads(answer.body)["data"]["buildId"])
    (ground_of_worker.storage / build.archive).unlink()
    assert {status for _, _, status in polls.made} == {200}
    during = [end - began for began, end, _ in polls.made if began > sent_at and end < answered_at]
    assert during, f"none was answered in {answered_at - sent_at:.1f} s"
    slowest = max(watch.at_ease for watch in polls.watches)
    assert slowest < AT_MOST_SECONDS, f"{slowest:.2f} s"
