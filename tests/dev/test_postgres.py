"""The embedded PostgreSQL: private, ours alone, and gone when it should be."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest

from dev.errors import DevelopmentError, FolderInUseError
from dev.postgres import EmbeddedPostgres, available, remove_database
from dev.state import locked
from tests.dev.conftest import fresh_state
from tests.stopwatch import Stopwatch

ROOT = Path(__file__).resolve().parents[2]
VERSIONS = dict(reversed(list(available())))  # their folders
LAUNCHER = """
import sys, time
from pathlib import Path
from dev.postgres import EmbeddedPostgres
print(EmbeddedPostgres(state=Path(sys.argv[1]), fsync=False).start(), flush=True)
time.sleep(60)
"""
AS_ROOT = os.geteuid() == 0


def answer(url: str, query: str) -> tuple[object, ...] | None:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchone()


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def server_pid(url: str) -> int:
    """Return the process that listens, from what it says of its own session's parent."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT current_setting('data_directory')").fetchone()
    assert row is not None
    return int((Path(row[0]) / "postmaster.pid").read_text().split("\n")[0])


@pytest.mark.parametrize("major", sorted(VERSIONS))
def test_every_version_on_the_machine_serves_utf8_text(state: Path, major: int) -> None:
    with EmbeddedPostgres(state=state, fsync=False, major=major) as server, psycopg.connect(server.url) as connection:
        version = connection.info.server_version // 10000
        row = connection.execute("SELECT current_database(), lower('ÄÖ☂')").fetchone()
    assert version == major
    assert row == ("crayon", "äö☂")


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A state folder with a database, which is as it was when a test is over; making one takes long."""
    with fresh_state() as folder:
        with EmbeddedPostgres(state=folder, fsync=False):
            pass
        yield folder


@pytest.fixture
def running(made: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(state=made, fsync=False) as server:
        yield server


@pytest.mark.parametrize("password", ["wrong", ""])
def test_it_refuses_a_wrong_or_missing_password(running: EmbeddedPostgres, password: str) -> None:
    parts = urlsplit(running.url)
    with pytest.raises(psycopg.OperationalError, match=r"password authentication failed|no password supplied"):
        psycopg.connect(host=parts.hostname, port=parts.port, user=parts.username, dbname="crayon", password=password)


def test_it_listens_on_loopback_tcp_and_nothing_else(running: EmbeddedPostgres) -> None:
    query = "SELECT current_setting('listen_addresses'), current_setting('unix_socket_directories')"
    assert answer(running.url, query) == ("127.0.0.1", "")


def test_a_development_database_is_durable(made: Path) -> None:
    with (
        EmbeddedPostgres(state=made) as server,
        psycopg.connect(server.url) as connection,
    ):
        row = connection.execute("SELECT current_setting('fsync')").fetchone()
    assert row == ("on",)


def test_its_folder_and_its_password_are_private(running: EmbeddedPostgres) -> None:
    state = running.state
    names = ("postgres", "postgres/data", "postgres.json", "logs")
    assert {name: mode(state / name) for name in names} == {
        "postgres": 0o700,
        "postgres/data": 0o700,
        "postgres.json": 0o600,
        "logs": 0o700,
    }
    left = [path.name for path in (state / "postgres").iterdir()]
    assert left == ["data"], "the file initdb read the password from must be gone"


@pytest.mark.skipif(not AS_ROOT, reason="only root starts the server as somebody else")
def test_parents_the_servers_account_cannot_pass_keep_their_modes(
    tmp_path: Path,
) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    state = private / "project" / "state"
    parents = {folder: folder.stat().st_mode for folder in private.parents}
    major = max(VERSIONS)
    try:
        with EmbeddedPostgres(state=state, fsync=False, major=major) as server:
            home = server.home
            assert answer(server.url, "SELECT 1") == (1,)
            assert mode(private) == 0o700
            assert not home.is_relative_to(tmp_path)
            assert mode(home) == 0o700
            assert home.stat().st_uid != os.geteuid()
        with EmbeddedPostgres(state=state, fsync=False) as server:
            assert server.home == home, "the folder is found again"
    finally:
        remove_database(state)
    assert not home.exists()
    assert {folder: folder.stat().st_mode for folder in private.parents} == parents


def test_stopping_leaves_no_process_and_keeps_the_data(made: Path) -> None:
    server = EmbeddedPostgres(state=made, fsync=False)
    url = server.start()
    pid = server_pid(url)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    server.stop()
    assert is_gone(pid)
    with ExitStack() as running:
        with Stopwatch() as watch:
            again = running.enter_context(EmbeddedPostgres(state=made, fsync=False))
        assert watch.at_ease < 3, "a second start is quick"
        assert again.url == url, "the port and the password are kept"
        assert answer(again.url, "SELECT answer FROM kept") == (42,)


def test_it_stops_while_a_client_is_in_a_transaction(made: Path) -> None:
    with EmbeddedPostgres(state=made, fsync=False) as server:
        connection = psycopg.connect(server.url)
        connection.execute("SELECT 1")
        with Stopwatch() as watch:
            server.stop()
        assert watch.at_ease < 5
    connection.close()


def test_a_taken_port_is_replaced(made: Path) -> None:
    with EmbeddedPostgres(state=made, fsync=False) as server:
        first = urlsplit(server.url).port
    with socket.create_server(("127.0.0.1", first or 0)), EmbeddedPostgres(state=made, fsync=False) as server:
        second = urlsplit(server.url).port
        assert answer(server.url, "SELECT 1") == (1,)
    assert first != second


def test_one_folder_serves_one_launcher_and_two_folders_two(made: Path, tmp_path: Path) -> None:
    with EmbeddedPostgres(state=made, fsync=False) as server:
        with pytest.raises(FolderInUseError, match=rf"running process {os.getpid()}"):
            EmbeddedPostgres(state=made, fsync=False).start()
        assert answer(server.url, "SELECT 1") == (1,)
        with EmbeddedPostgres(state=made.with_name("other"), fsync=False) as other:
            assert answer(other.url, "SELECT 1") == (1,)
            assert other.url != server.url


def test_killing_the_launcher_harms_nothing(made: Path) -> None:
    launcher = subprocess.Popen(
        [
            sys.executable,
            "-c",
            LAUNCHER,
            str(made),
        ],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert launcher.stdout is not None
    url = launcher.stdout.readline().strip()
    launcher.stdout.close()
    pid = server_pid(url)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE outlived AS SELECT 42 AS answer")
    launcher.kill()
    launcher.wait()
    if sys.platform == "linux":
        deadline = time.monotonic() + 30
        while not is_gone(pid):
            assert time.monotonic() < deadline, "the kernel shuts the server down"
            time.sleep(0.05)
    with EmbeddedPostgres(state=made, fsync=False) as again:
        assert answer(again.url, "SELECT answer FROM outlived") == (42,)
    assert is_gone(pid)


def test_a_server_left_behind_is_stopped_by_the_next_start(made: Path) -> None:
    with EmbeddedPostgres(state=made, fsync=False) as server:
        home = server.home
        words = psutil.Process(server_pid(server.url)).cmdline()
    owner = home.stat()
    left_behind = subprocess.Popen(
        words,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=home,
        env={"PATH": os.defpath},
        **({"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if AS_ROOT else {}),
    )
    try:
        deadline = time.monotonic() + 30
        while not (home / "data" / "postmaster.pid").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with EmbeddedPostgres(state=made, fsync=False) as again:
            left_behind.wait(30)
            assert answer(again.url, "SELECT 1") == (1,)
    finally:
        left_behind.kill()
        left_behind.wait()


def test_a_process_number_that_another_program_got_is_left_alone(made: Path) -> None:
    with EmbeddedPostgres(state=made, fsync=False) as server:
        home = server.home
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        pid_file = home / "data" / "postmaster.pid"
        pid_file.write_text(f"{bystander.pid}\n{home / 'data'}\n")
        with EmbeddedPostgres(state=made, fsync=False) as again:
            assert answer(again.url, "SELECT 1") == (1,)
        assert bystander.poll() is None
    finally:
        bystander.send_signal(signal.SIGKILL)
        bystander.wait()


def test_an_initdb_killed_half_way_is_done_again(made: Path) -> None:
    with EmbeddedPostgres(state=made, fsync=False) as server:
        home = server.home
    # What a kill leaves: everything but the last step, the renaming.
    (home / "data").rename(home / "data.unfinished")
    with EmbeddedPostgres(state=made, fsync=False) as again:
        assert answer(again.url, "SELECT 1") == (1,)
    assert sorted(path.name for path in home.iterdir()) == ["data"]


def test_a_cluster_of_a_version_that_is_gone_is_named_and_kept(made: Path) -> None:
    with EmbeddedPostgres(state=made, fsync=False) as server:
        version = server.home / "data" / "PG_VERSION"
    right = version.read_text()
    version.write_text("9\n")
    with pytest.raises(DevelopmentError, match=r"made by PostgreSQL 9, and no server binaries"):
        EmbeddedPostgres(state=made, fsync=False).start()
    version.write_text(right)
    with locked(made / "postgres.lock"):
        pass  # A failed start lets go of the folder.


def test_a_lost_password_is_said_and_the_data_kept(made: Path) -> None:
    record = (made / "postgres.json").rename(made / "lost")
    with pytest.raises(DevelopmentError, match=r"its password is gone. Delete .*postgres to start"):
        EmbeddedPostgres(state=made, fsync=False).start()
    assert (made / "postgres" / "data").exists()
    record.rename(made / "postgres.json")
