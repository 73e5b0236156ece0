"""PostgreSQL is restarted while tools are polling: nothing but a moment's 503, and nothing is lost."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import urllib3

from dev.postgres import EmbeddedPostgres, remove_database
from tests.gunicorn_process import GunicornProcess
from tests.resilience.conftest import Tool
from tests.resilience.web import WebBrowser, approve, check, log_in, start_login

AWAY = b'{"error":"The database can\'t be reached right now. Please try again in a moment."}'
ROOT = Path(__file__).resolve().parents[2]
POLLERS = 8


@pytest.fixture
def postgres() -> Iterator[EmbeddedPostgres]:
    """A server of this test's own, in a folder that its account can reach."""
    with tempfile.TemporaryDirectory() as above:
        Path(above).chmod(0o711)
        folder = Path(above) / "state"
        with EmbeddedPostgres(state=folder, fsync=False) as server:
            yield server
        remove_database(folder)


@pytest.fixture
def own_server(postgres, sandbox) -> Iterator[GunicornProcess]:
    environment = {"DATABASE_URL": postgres.url}
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=ROOT, env=os.environ | environment, check=True
    )
    with GunicornProcess(sandbox=sandbox, environment=environment) as server:
        yield server


@pytest.mark.slow(20)
@pytest.mark.timeout(300)  # a database is made anew for it
def test_a_restarted_database_costs_a_moment_and_nothing_else(own_server, postgres):
    token = log_in(own_server)
    browser = WebBrowser(own_server)
    browser.sign_in("alice")
    code, secret = start_login(own_server)
    approve(browser, code)
    waiting = start_login(own_server)
    tool = Tool(own_server, token)
    assert tool.integrations().status == 200
    questions = (lambda: check(own_server, *waiting), tool.integrations)
    answers: list[tuple[float, int, bytes]] = []
    problems: list[BaseException] = []
    over = threading.Event()

    def poll(number: int) -> None:
        while not over.is_set():
            try:
                answer = questions[number % 2]()
            except urllib3.exceptions.HTTPError as problem:
                problems.append(problem)
                return
            answers.append((time.monotonic(), answer.status, answer.data))
            # No more than the 120 polls a minute that one login may take.
            time.sleep(0.25 if number % 2 else 2.5)

    threads = [threading.Thread(target=poll, args=[number]) for number in range(POLLERS)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    port = postgres.url
    postgres.stop()
    stopped_at = time.monotonic()
    time.sleep(2)
    assert own_server.request("GET", "/_/health").status == 200
    assert own_server.request("GET", "/_/ready").status == 503
    page = browser.get("/account/apps")
    assert (page.status, b"Traceback" in page.content, b"psycopg" in page.content) == (503, False, False)
    assert (check(own_server, *waiting).status, tool.integrations().data) == (503, AWAY)
    assert postgres.start() == port
    back_at = time.monotonic()
    time.sleep(3)
    over.set()
    for thread in threads:
        thread.join()

    assert problems == []
    assert {status for _, status, _ in answers} == {200, 503}, Counter(status for _, status, _ in answers)
    assert {body for _, status, body in answers if status == 503} == {AWAY}
    assert all(status == 200 for at, status, _ in answers if at < stopped_at - 0.2 or at > back_at + 1.5)
    # The approval and the sign-in of before hold, and the server was not restarted.
    assert check(own_server, code, secret).json()["data"]["status"] == "approved"
    assert browser.get("/account/apps").status == 200
    assert tool.integrations().status == 200
    # Nor does the log of all this name what opens the database.
    assert "OperationalError" in own_server.log
    assert urlsplit(postgres.url).password not in own_server.log
