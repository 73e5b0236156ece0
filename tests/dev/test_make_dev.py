"""`make dev`, as a person meets it: the real command, on ports and in a folder of the test's own."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from dev import children
from dev.cluster import Cluster
from dev.ports import free_port, is_free

ROOT = Path(__file__).resolve().parents[2]
# The tests' own settings would win over the presets that are tested here.
KEPT_VARIABLES = ("PATH", "HOME", "TMPDIR", "LANG", "VIRTUAL_ENV", "PYTHONPATH")
PATIENCE = 60


class Dev:
    """A running `python -m dev` and what it said."""

    def __init__(self, state: Path, **environment: str) -> None:
        self.state = state
        self.port, self.sandbox_port = free_port(), free_port()
        self.output = state.with_name(f"{state.name}.output-{time.monotonic_ns()}")
        self.environment = {
            **{name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ},
            "PORT": str(self.port),
            "SANDBOX_PORT": str(self.sandbox_port),
            "DEV_STATE": str(state),
            **environment,
        }
        self.url = f"http://localhost:{self.port}"
        self.started = time.monotonic()
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dev"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=self.environment,
                start_new_session=True,
            )

    def said(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def wait_until_up(self) -> float:
        """Return the seconds until it said that everything runs."""
        while "Ctrl-C stops everything." not in self.said():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() - self.started < PATIENCE, self.said()
            time.sleep(0.05)
        return time.monotonic() - self.started

    def stop(self, number: signal.Signals = signal.SIGINT) -> tuple[int, float]:
        """Return its exit status and the seconds it took to stop."""
        started = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(PATIENCE), time.monotonic() - started

    def processes(self) -> set[int]:
        """Return the processes started for this state folder or these ports, itself included."""
        marks = (str(self.state), f"127.0.0.1:{self.port}", str(self.sandbox_port))
        found = set()
        for pid in all_processes():
            words = children.command_line(pid)
            environment = environment_of(pid)
            if f"DEV_STATE={self.state}" in environment or any(mark in " ".join(words) for mark in marks):
                found.add(pid)
        return found - {os.getpid()}


RunDev = Callable[..., Dev]


def all_processes() -> list[int]:
    if Path("/proc/self").exists():
        return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    listed = subprocess.run(["ps", "-A", "-o", "pid="], capture_output=True, text=True, check=True)
    return [int(word) for word in listed.stdout.split()]


def cpu_seconds_of_ended_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def environment_of(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def fetch(url: str, *, method: str = "GET") -> tuple[int, bytes]:
    request = urllib.request.Request(url, method=method)
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.status, response.read()


@pytest.fixture
def state() -> Iterator[Path]:
    """A state folder the database's account can reach, unlike pytest's own, which are private."""
    with tempfile.TemporaryDirectory() as above:
        Path(above).chmod(0o711)
        folder = Path(above) / "state"
        yield folder
        Cluster.remove(folder)


@pytest.fixture
def run(state: Path) -> Iterator[RunDev]:
    """Starts `Dev`, by default on `state`; whatever it started is gone when the test is over."""
    running: list[Dev] = []

    def start(folder: Path = state, **environment: str) -> Dev:
        running.append(Dev(folder, **environment))
        return running[-1]

    yield start
    for dev in running:
        if dev.process.poll() is None:
            dev.stop(signal.SIGTERM)


def test_it_starts_everything_says_where_and_stops_it_again(run: RunDev, state: Path) -> None:
    first = run(state)
    first.wait_until_up()
    said = first.said()
    assert fetch(f"{first.url}/_/ready")[0] == 200
    assert fetch(f"http://127.0.0.1:{first.sandbox_port}/_sandbox/state")[0] == 200
    for address in ("", "/admin/", "/api/docs"):
        assert f"{first.url}{address} " in said or f"{first.url}{address}\n" in said
    assert f"http://127.0.0.1:{first.sandbox_port} " in said
    private = {path.name: path.stat().st_mode & 0o777 for path in state.iterdir() if path.is_file()}
    assert set(private.values()) == {0o600}, private
    assert {"keys.json", "operator-password", "postgres.json"} <= private.keys()
    logs = {path.name for path in (state / "logs").iterdir()}
    assert {"server.log", "sandbox.log", "worker.log", "postgres.log", "migrate.log"} <= logs
    status, seconds = first.stop()
    assert (status, seconds < 10) == (0, True), first.said()
    assert first.processes() == set()
    assert is_free(first.port)
    assert is_free(first.sandbox_port)

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


def test_its_walk_through_begins_a_login(run: RunDev) -> None:
    dev = run()
    dev.wait_until_up()
    create, page, poll = re.findall(r"^    (?:curl|xdg-open|open) .*$", dev.said(), re.MULTILINE)
    assert create.split() == ["curl", "-sX", "POST", f"{dev.url}/api/auth/cli/session"]
    login = json.loads(fetch(create.split()[-1], method="POST")[1])["data"]
    assert f'"{dev.url}/auth/cli?cli_code=CODE"' in page
    filled = poll.split('"')[1].replace("CODE", login["code"]).replace("SECRET", login["secret"])
    assert json.loads(fetch(filled)[1]) == {"data": {"status": "pending"}}


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


@pytest.mark.parametrize("name", ["PORT", "SANDBOX_PORT"])
def test_a_taken_port_is_named_with_the_variable_that_changes_it(run: RunDev, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
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


@pytest.mark.parametrize("name", ["server", "sandbox", "worker"])
def test_when_a_child_dies_it_says_which_and_stops_the_rest(run: RunDev, state: Path, name: str) -> None:
    dev = run()
    dev.wait_until_up()
    mark = {"server": "gunicorn", "sandbox": "sandbox", "worker": "worker"}[name]
    started_by = {pid: children.command_line(pid) for pid in dev.processes()}
    for pid, words in started_by.items():
        if mark in words:
            os.kill(pid, signal.SIGKILL)
    assert dev.process.wait(15) == 1
    assert f"The {name} has stopped; its log is {state / 'logs' / name}.log" in dev.said()
    assert dev.processes() == set()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's end")
def test_killing_it_takes_its_children_with_it(run: RunDev) -> None:
    dev = run()
    dev.wait_until_up()
    dev.stop(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while dev.processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert dev.processes() == set()


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
