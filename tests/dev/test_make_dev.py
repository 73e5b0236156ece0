"""`make dev`, as a person meets it: the real command, on ports and in a folder of the test's own."""

import json
import os
import re
import resource
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from dev.ports import LOOPBACK, is_free, loopback
from dev.processes import is_routine
from tests.dev.dev_process import PATIENCE, RunDev


def cpu_seconds_of_ended_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def fetch(url: str, *, method: str = "GET") -> tuple[int, bytes]:
    request = urllib.request.Request(url, method=method)
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.status, response.read()


@pytest.mark.slow(25)
def test_it_starts_everything_says_where_and_stops_it_again(run: RunDev, state: Path) -> None:
    first = run(state)
    first.wait_until_up()
    said = first.said()
    for address in loopback():
        host = f"[{address}]" if ":" in address else address
        assert fetch(f"http://{host}:{first.port}/auth/sign-in")[0] == 200
    assert fetch(f"http://127.0.0.1:{first.sandbox_port}/_sandbox/state")[0] == 200
    for address in ("", "/admin/", "/api/docs"):
        assert f"{first.url}{address} " in said or f"{first.url}{address}\n" in said
    assert f"http://127.0.0.1:{first.sandbox_port} " in said
    # Requests, of which some came before it was ready and some since, are in the file that it names.
    log = state / "logs" / "server.log"
    assert f"{log} " in said
    assert "GET /_/ready 200" in log.read_text()
    assert said.rstrip().endswith("Ctrl-C stops everything."), said
    assert first.said() == said
    private = {path.name: path.stat().st_mode & 0o777 for path in state.iterdir() if path.is_file()}
    assert set(private.values()) == {0o600}, private
    assert {"keys.json", "operator-password", "postgres.json", "running.json"} <= private.keys()
    logs = {path.name for path in (state / "logs").iterdir()}
    assert {"server.log", "sandbox.log", "worker.log", "postgres.log", "migrate.log"} <= logs
    status, seconds = first.stop()
    assert (status, seconds < 10) == (0, True), first.said()
    assert first.processes() == set()
    assert is_free(first.port)
    assert is_free(first.sandbox_port)
    assert not (state / "running.json").exists()

    keys = (state / "keys.json").read_text()
    password = re.search(r"operator / (\S+)", said)
    assert password is not None
    used = cpu_seconds_of_ended_children()
    second = run(state)
    second.wait_until_up()
    second.stop()
    # Processor time, as the other tests keep the machine busy, of all that runs side by side and is stopped again:
    # alone, on two cores, the wall clock shows less than half of it.
    assert cpu_seconds_of_ended_children() - used < 8, "a second start is quick"
    assert f"operator / {password.group(1)}" in second.said(), "the operator is made once"
    assert (state / "keys.json").read_text() == keys, "the keys are made once"


@pytest.mark.parametrize(
    ("line", "routine"),
    [
        (b"GET /_/ready 200 1.08 ms f7edb4a300912b95\n", True),
        (b"POST /auth/cli 302 187.67 ms f7edb4a300912b95\n", True),
        (b"2026-11-28 05:00:00,000 INFO - core: compared with Fly\n", True),
        (b"[2026-11-28 05:00:00 +0000] [12] [INFO] Starting gunicorn\n", True),
        (b"2026-11-28 05:00:00,000 WARNING f7edb4a3 accounts.allauth_adapters: sign-in failed: SignInRefused\n", False),
        (b"2026-11-28 05:00:00,000 ERROR - django: INFO is part of this\n", False),
        (b"[2026-11-28 05:00:00 +0000] [12] [ERROR] Worker failed\n", False),
        (b"Traceback (most recent call last):\n", False),
        (b"GET out\n", False),
    ],
)
def test_the_terminal_shows_what_has_some_weight(line: bytes, routine: bool) -> None:  # noqa: FBT001
    assert is_routine(line) is routine


@pytest.mark.slow(25)
def test_its_walk_through_begins_a_login(run: RunDev) -> None:
    dev = run()
    dev.wait_until_up()
    create, page, poll = re.findall(r"^    (?:curl|xdg-open|open) .*$", dev.said(), re.MULTILINE)
    assert create.split() == ["curl", "-sX", "POST", f"{dev.url}/api/auth/cli/session"]
    login = json.loads(fetch(create.split()[-1], method="POST")[1])["data"]
    assert f'"{dev.url}/auth/cli?cli_code=CODE"' in page
    filled = poll.split('"')[1].replace("CODE", login["code"]).replace("SECRET", login["secret"])
    assert json.loads(fetch(filled)[1]) == {"data": {"status": "pending"}}


@pytest.mark.slow(25)
def test_two_run_side_by_side(run: RunDev, state: Path) -> None:
    one, other = run(state), run(state.with_name("other"))
    one.wait_until_up()
    other.wait_until_up()
    assert fetch(f"{one.url}/_/ready")[0] == 200
    assert other.stop(signal.SIGTERM)[0] == 0
    assert fetch(f"{one.url}/_/ready")[0] == 200, "stopping one leaves the other alone"
    third = run(state)
    assert third.process.wait(PATIENCE) == 1
    assert f"{state} is in use by the running process {one.process.pid}" in third.said()


@pytest.mark.slow(16)
def test_people_sign_in_and_connect_at_the_public_address(run: RunDev) -> None:
    dev = run(PUBLIC_URL="https://crayon.box.example")
    dev.wait_until_up()
    through_proxy = {"X-Forwarded-Proto": "https", "Host": "crayon.box.example"}
    with urllib.request.urlopen(urllib.request.Request(f"{dev.url}/auth/sign-in", headers=through_proxy)) as page:
        assert page.status == 200
    sandbox = f"http://127.0.0.1:{dev.sandbox_port}"
    callback = quote("https://crayon.box.example/api/auth/github/callback", safe="")
    asked = f"client_id=sandbox-github-client&redirect_uri={callback}&state=x&scope=user"
    assert b"alice" in fetch(f"{sandbox}/github/login/oauth/authorize?{asked}")[1]
    order = json.dumps({"body": {"type": "auth", "operation": "creation"}}).encode()
    sent = urllib.request.Request(f"{sandbox}/_sandbox/nango/webhooks", data=order, method="POST")
    with urllib.request.urlopen(sent) as answer:
        assert json.load(answer)["status"] == 200


@pytest.mark.parametrize(("name", "address"), [("PORT", loopback()[-1]), ("SANDBOX_PORT", LOOPBACK)])
def test_a_taken_port_is_named_with_the_variable_that_changes_it(run: RunDev, name: str, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as taken:
        port = taken.getsockname()[1]
        dev = run(**{name: str(port)})
        assert dev.process.wait(PATIENCE) == 1
    assert f"Port {port} is taken by another program." in dev.said()
    assert f"make dev {name}=" in dev.said()


@pytest.mark.parametrize("value", ["http", "0", "65536", "-1"])
def test_a_port_that_is_none_is_refused(run: RunDev, value: str) -> None:
    dev = run(PORT=value)
    assert dev.process.wait(PATIENCE) == 1
    assert f"PORT must be a port number from 1 to 65535, not '{value}'." in dev.said()


@pytest.mark.slow(18)
@pytest.mark.parametrize("name", ["server", "sandbox"])
def test_when_a_child_dies_it_says_which_and_stops_the_rest(run: RunDev, state: Path, name: str) -> None:
    dev = run()
    dev.wait_until_up()
    for pid in dev.running({"server": "gunicorn", "sandbox": "sandbox"}[name]):
        os.kill(pid, signal.SIGKILL)
    assert dev.process.wait(15) == 1
    assert f"The {name} has stopped; its log is {state / 'logs' / name}.log" in dev.said()
    assert dev.processes() == set()


@pytest.mark.slow(25)
def test_a_worker_that_is_killed_is_started_again_and_all_else_goes_on(run: RunDev, state: Path) -> None:
    dev = run()
    dev.wait_until_up()
    killed: set[int] = set()
    for seconds in (2, 4):
        found = dev.running("worker")
        assert len(found) == 1
        os.kill(*found, signal.SIGKILL)
        at, killed = time.monotonic(), killed | found
        while not dev.running("worker") - killed:
            assert time.monotonic() - at < seconds + 10, dev.said()
            time.sleep(0.05)
        # One that never comes up must not keep the machine busy.
        assert time.monotonic() - at > seconds - 0.5
        said = f"The worker has stopped; it is started again in {seconds} s. Its log is {state / 'logs'}/worker.log."
        assert said in dev.said()
    assert fetch(f"{dev.url}/_/ready")[0] == 200
    assert dev.stop()[0] == 0
    assert dev.processes() == set()


@pytest.mark.slow(18)
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's end")
def test_killing_it_takes_its_children_with_it(run: RunDev) -> None:
    dev = run()
    dev.wait_until_up()
    dev.stop(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while dev.processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert dev.processes() == set()


@pytest.mark.slow(15)
def test_a_database_that_is_set_is_used_and_none_started(run: RunDev, state: Path, own_database: str) -> None:
    dev = run(DATABASE_URL=own_database)
    dev.wait_until_up()
    assert not (state / "postgres").exists()
    with psycopg.connect(own_database) as connection:
        found = connection.execute("SELECT username, is_superuser FROM accounts_user").fetchall()
    assert found == [("operator", True)]


@pytest.fixture
def own_database() -> Iterator[str]:
    """A fresh database on the tests' own server."""
    server = os.environ["DATABASE_URL"]
    name = f"dev_{os.getpid()}_{time.monotonic_ns()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield f"{server.rpartition('/')[0]}/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_failing_migration_ends_it_with_the_reason(run: RunDev) -> None:
    dev = run(SIGNUP_POLICY="everybody")
    assert dev.process.wait(PATIENCE) == 1
    assert "migrate failed; the end of " in dev.said()
    assert "SIGNUP_POLICY must be one of open, allowlist, waitlist, not 'everybody'." in dev.said()
    assert dev.processes() == set()
