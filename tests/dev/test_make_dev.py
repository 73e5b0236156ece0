"""`make dev`, as a person meets it: the real command, on ports and in a folder of the test's own."""

import os
import re
import resource
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
import requests

from dev.ports import LOOPBACK, is_free, loopback
from dev.processes import is_routine
from tests.dev.dev_process import PATIENCE, Dev, RunDev, database_of, manage
from tests.dev.newcomer import Browser, CommandLine
from tests.dev.test_a_newcomers_day import deploy_an_app

pytestmark = pytest.mark.timeout(400)
ASK = "from django.conf import settings as s; print(s.FLY_API_URL, s.PUBLIC_URL, s.DATABASES['default']['PORT'])"


def status_of(url: str, **headers: str) -> int:
    return requests.get(url, headers=headers, timeout=20).status_code


@pytest.mark.slow(20)
def test_it_says_where_everything_is_last_and_keeps_it_private(dev: Dev) -> None:
    said = dev.said()
    for address in loopback():
        host = f"[{address}]" if ":" in address else address
        assert status_of(f"http://{host}:{dev.port}/auth/sign-in") == 200
    assert status_of(f"http://127.0.0.1:{dev.sandbox_port}/_sandbox/state") == 200
    for address in ("", "/admin/", "/deployments/", "/api/docs"):
        assert re.search(rf"{dev.url}{address}\s", said), address
    assert f"http://127.0.0.1:{dev.sandbox_port} " in said
    # Requests, of which some came before it was ready and some since, are in the file that it names.
    log = dev.state / "logs" / "server.log"
    assert f"{log} " in said
    assert "GET /_/ready 200" in log.read_text()
    up_to_here, _, since = said.partition("Ctrl-C stops everything.\n")
    assert "Server      " in up_to_here
    assert [line for line in since.splitlines() if "worker" not in line.lower()] == [], "only of workers, see below"
    modes = {path.name: path.stat().st_mode & 0o777 for path in dev.state.iterdir() if path.is_file()}
    assert set(modes.values()) == {0o600}, modes
    assert {"keys.json", "operator-password", "postgres.json", "running.json"} <= modes.keys()
    logs = {path.name for path in (dev.state / "logs").iterdir()}
    assert {"server.log", "sandbox.log", "worker.log", "postgres.log", "migrate.log"} <= logs


def test_a_worker_that_is_killed_is_started_again_and_all_else_goes_on(dev: Dev) -> None:
    (killed,) = dev.running("worker")
    os.kill(killed, signal.SIGKILL)
    at = time.monotonic()
    while not dev.running("worker") - {killed}:
        assert time.monotonic() - at < 20, dev.said()
        time.sleep(0.05)
    # One that never comes up must not keep the machine busy.
    assert time.monotonic() - at > 1.5
    assert f"The worker has stopped; it is started again in 2 s. Its log is {dev.state}/logs/worker.log." in dev.said()
    assert status_of(f"{dev.url}/_/ready") == 200


@pytest.mark.slow(25)
def test_another_runs_beside_it_on_a_database_and_at_an_address_that_are_set(
    dev: Dev, run: RunDev, own_database: str
) -> None:
    other = run(DATABASE_URL=own_database, PUBLIC_URL="https://crayon.box.example")
    other.wait_until_up()
    assert not (other.state / "postgres").exists()
    with psycopg.connect(own_database) as connection:
        found = connection.execute("SELECT username, is_superuser FROM accounts_user").fetchall()
    assert found == [("operator", True)]

    through_proxy = {"X-Forwarded-Proto": "https", "Host": "crayon.box.example"}
    assert status_of(f"{other.url}/auth/sign-in", **through_proxy) == 200
    sandbox = f"http://127.0.0.1:{other.sandbox_port}"
    callback = quote("https://crayon.box.example/api/auth/github/callback", safe="")
    asked = f"client_id=sandbox-github-client&redirect_uri={callback}&state=x&scope=user"
    assert "alice" in requests.get(f"{sandbox}/github/login/oauth/authorize?{asked}", timeout=20).text
    order = {"body": {"type": "auth", "operation": "creation"}}
    assert requests.post(f"{sandbox}/_sandbox/nango/webhooks", json=order, timeout=20).json()["status"] == 200

    third = run(dev.state)
    assert third.process.wait(PATIENCE) == 1
    assert f"{dev.state} is in use by the running process {dev.process.pid}" in third.said()

    for pid in other.running("gunicorn"):
        os.kill(pid, signal.SIGKILL)
    assert other.process.wait(PATIENCE) == 1
    assert f"The server has stopped; its log is {other.state / 'logs' / 'server.log'}" in other.said()
    assert other.processes() == {}
    assert status_of(f"{dev.url}/_/ready") == 200, "the end of one leaves the other alone"


@pytest.fixture
def own_database() -> Iterator[str]:
    """A fresh database on the tests' own server."""
    server = os.environ["DATABASE_URL"]
    name = f"dev_{os.getpid()}_{time.monotonic_ns()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield f"{server.rpartition('/')[0]}/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_make_manage_has_its_database_and_its_addresses(dev: Dev) -> None:
    said, _ = manage(dev.state, "shell", "--verbosity", "0", "-c", ASK).communicate(timeout=60)
    port = database_of(dev.state).rpartition("/")[0].rpartition(":")[2]
    assert said.split() == [f"http://127.0.0.1:{dev.sandbox_port}/fly", dev.url, port]


@pytest.mark.slow(20)
def test_make_worker_builds_for_it(dev: Dev, tmp_path: Path) -> None:
    cli = CommandLine(dev.url)
    cli.log_in(Browser(), "alice")
    with another_worker(dev):
        deploy_an_app(cli, tmp_path / "shop")


@contextmanager
def another_worker(dev: Dev) -> Iterator[None]:
    """`make worker`, ready for jobs, while the worker of `make dev` is frozen and takes none."""
    until = time.monotonic() + 60
    while (ready := workers_ready(dev)) == 0:
        assert time.monotonic() < until
        time.sleep(0.1)
    own = dev.running("worker")
    process = manage(dev.state, "worker")
    try:
        while workers_ready(dev) <= ready:
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.1)
        for pid in own:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in own:
            os.kill(pid, signal.SIGCONT)
        # As Ctrl-C does in a terminal.
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=50)


def workers_ready(dev: Dev) -> int:
    """How many have said lately that they live; one that was killed counts no more."""
    query = "SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - interval '30 seconds'"
    with psycopg.connect(database_of(dev.state)) as connection:
        ((count,),) = connection.execute(query).fetchall()
    return int(count)


@pytest.mark.slow(25)
def test_it_stops_everything_goes_on_where_it_ended_and_ends_with_its_sandbox(run: RunDev, state: Path) -> None:
    first = run()
    first.wait_until_up()
    said, keys = first.said(), (state / "keys.json").read_text()
    assert said.rstrip().endswith("Ctrl-C stops everything."), said
    status, seconds = first.stop()
    assert (status, seconds < 10) == (0, True), first.said()
    assert first.processes() == {}
    assert is_free(first.port)
    assert is_free(first.sandbox_port)
    assert not (state / "running.json").exists()

    used = cpu_seconds_of_ended_children()
    second = run()
    second.wait_until_up()
    password = re.search(r"operator / \S+", said)
    assert password is not None
    assert password[0] in second.said(), "the operator is made once"
    assert (state / "keys.json").read_text() == keys, "the keys are made once"
    for pid in second.running("sandbox"):
        os.kill(pid, signal.SIGKILL)
    assert second.process.wait(PATIENCE) == 1
    # Processor time, as the other tests keep the machine busy, of all that runs side by side and is stopped again:
    # alone, on two cores, the wall clock shows less than half of it.
    assert cpu_seconds_of_ended_children() - used < 8, "a second start is quick"
    assert f"The sandbox has stopped; its log is {state / 'logs' / 'sandbox.log'}" in second.said()
    assert second.processes() == {}


def cpu_seconds_of_ended_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


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


@pytest.mark.parametrize(("name", "address"), [("PORT", loopback()[-1]), ("SANDBOX_PORT", LOOPBACK)])
def test_a_taken_port_is_named_with_the_variable_that_changes_it(run: RunDev, name: str, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as taken:
        port = taken.getsockname()[1]
        dev = run(**{name: str(port)})
        assert dev.process.wait(PATIENCE) == 1
    assert f"Port {port} is taken by another program." in dev.said()
    assert f"make dev {name}=" in dev.said()


@pytest.mark.slow(10)
def test_a_setting_that_cannot_be_ends_it_with_the_reason(run: RunDev) -> None:
    dev = run(SIGNUP_POLICY="everybody")
    assert dev.process.wait(PATIENCE) == 1
    assert "migrate failed; the end of " in dev.said()
    assert "SIGNUP_POLICY must be one of open, allowlist, waitlist, not 'everybody'." in dev.said()
    assert dev.processes() == {}
