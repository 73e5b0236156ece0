"""An embedded PostgreSQL for development and tests: real, private, and gone with its launcher."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import psycopg
from psycopg import sql

from dev import subprocesses
from dev.binaries import ServerBinaries
from dev.cluster import SUPERUSER, Cluster, ClusterRecord, server_environment
from dev.errors import DevelopmentError
from dev.os_account import ServerAccount
from dev.ports import LOOPBACK, free_port, is_free
from dev.state import FolderLock, make_folder

if TYPE_CHECKING:
    import subprocess

DATABASE = "crayon"
_PATIENCE_TO_START = 60.0  # Recovery after a crash may take a while.
_PATIENCE_TO_STOP = 10.0
_ATTEMPTS = 3
# Nothing here survives a power cut, which is what a database for one test run may cost.
_THROW_AWAY: Final = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    # As some hosted ones have it: what programs prepare outlives their sessions.
    "max_prepared_transactions": "20",
}


def address_of_running(state: Path) -> str:
    """Return the address of the database that another process serves below a state folder.

    Raises DevelopmentError when the folder has none.
    """
    record = Cluster.recall(state.absolute())
    if record is None:
        message = f"{state} has no database."
        raise DevelopmentError(message)
    return _url(record, DATABASE)


def _url(record: ClusterRecord, database: str) -> str:
    return f"postgres://{SUPERUSER}:{record.password}@{LOOPBACK}:{record.port}/{database}"


class EmbeddedPostgres:
    """A PostgreSQL server of our own below a state folder.

    It listens on loopback TCP only, asks for a scram password, keeps its folder 0700, and runs as
    an unprivileged account when we are root. Start it from the main thread: on Linux the kernel
    shuts it down when that thread is gone, and elsewhere the next start shuts down what was left.
    """

    def __init__(self, *, state: Path, fsync: bool = True, major: int | None = None) -> None:
        """state: the folder for data, password and log. fsync=False: fast, for throw-away data.

        major: make the cluster with this version of PostgreSQL, not with the first one found.
        """
        self._major = major
        self.state = state.absolute()
        self.log = self.state / "logs" / "postgres.log"
        self._settings = {} if fsync else _THROW_AWAY
        self._lock = FolderLock(self.state / "postgres.lock")
        self._cluster: Cluster | None = None
        self._server: subprocess.Popen[bytes] | None = None

    def start(self, *, afresh: bool = False) -> str:
        """Start the server, made at first, and return its database's URL.

        afresh: delete what an earlier start left, data and all.
        Raises DevelopmentError: no binaries, state folder in use, or a server that does not start.
        """
        account = ServerAccount.suitable()
        make_folder(self.state, private=not account.switches)
        make_folder(self.log.parent)
        self._lock.acquire()
        try:
            if afresh:
                Cluster.remove(self.state)
            self._cluster = Cluster(self.state, account)
            binaries = self._cluster.binaries(major=self._major)
            self._shut_survivor_down()
            self._serve(binaries)
            self._create_database()
        except BaseException:
            self.stop()
            raise
        return self.url

    @property
    def url(self) -> str:
        """The address of the database `crayon`, password included."""
        return self._url_of(DATABASE)

    @property
    def home(self) -> Path:
        """The folder the cluster lies in: below the state folder, if its account can go there."""
        return self._own_cluster().home

    def stop(self) -> None:
        """Shut the server down and let go of the folder; harmless when nothing runs."""
        if self._server is not None:
            subprocesses.stop(self._server, signal.SIGINT, signal.SIGQUIT, patience=_PATIENCE_TO_STOP)
            self._server = None
        self._lock.release()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def _own_cluster(self) -> Cluster:
        if self._cluster is None:
            message = "The embedded PostgreSQL has not been started."
            raise DevelopmentError(message)
        return self._cluster

    def _url_of(self, database: str) -> str:
        return _url(self._own_cluster().record, database)

    def _shut_survivor_down(self) -> None:
        """Shut down the server of a launcher that was killed: we hold the lock, nobody owns it."""
        data = self._own_cluster().data
        pid_file = data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text(encoding="utf-8").split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return
        words = subprocesses.command_line(pid)
        if str(data) not in words:
            if words:
                # The number was given to another program since; PostgreSQL would take that for
                # a running server and refuse to start.
                pid_file.unlink(missing_ok=True)
            return
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            if subprocesses.wait_until_gone(pid, patience=_PATIENCE_TO_STOP):
                return
        message = f"The PostgreSQL server {pid} of {self.state} does not stop."
        raise DevelopmentError(message)

    def _serve(self, binaries: ServerBinaries) -> None:
        """Start the server on its port, or on another one when that has been taken."""
        cluster = self._own_cluster()
        for _ in range(_ATTEMPTS):
            if not is_free(cluster.record.port):
                cluster.record.port = free_port()
                cluster.save()
            if self._served(binaries, cluster):
                return
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
        message = "\n".join([f"PostgreSQL did not start; the end of {self.log}:", *lines])
        raise DevelopmentError(message)

    def _served(self, binaries: ServerBinaries, cluster: Cluster) -> bool:
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(cluster.record.port),
            "unix_socket_directories": "",
            **self._settings,
        }
        with self.log.open("ab") as log:
            self._server = subprocesses.start(
                [
                    binaries.folder / "postgres",
                    "-D",
                    cluster.data,
                    *(word for name in settings for word in ("-c", f"{name}={settings[name]}")),
                ],
                output=log,
                environment=server_environment(),
                folder=cluster.home,
                account=cluster.account,
                death_signal=signal.SIGINT,  # to PostgreSQL: disconnect everybody, shut down well
            )
        return self._became_ready(self._server, cluster.data / "postmaster.pid")

    def _became_ready(self, server: "subprocess.Popen[bytes]", pid_file: Path) -> bool:
        """Wait for the eighth line of postmaster.pid to say so, as pg_ctl does."""
        deadline = time.monotonic() + _PATIENCE_TO_START
        while server.poll() is None and time.monotonic() < deadline:
            with suppress(FileNotFoundError):
                # The server makes the file empty and writes it line by line.
                lines = pid_file.read_text(encoding="utf-8").splitlines()
                if lines[:1] == [str(server.pid)] and [line.strip() for line in lines[7:8]] == ["ready"]:
                    return True
            time.sleep(0.01)
        return False

    def _create_database(self) -> None:
        with psycopg.connect(self._url_of("postgres"), autocommit=True) as connection:
            query = "SELECT 1 FROM pg_database WHERE datname = %s"
            if connection.execute(query, [DATABASE]).fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
