"""The folder of an embedded PostgreSQL cluster: where it lies, its password, how it is made."""

import json
import os
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from dev.binaries import ServerBinaries, available, copy_wheel_binaries
from dev.errors import DevelopmentError
from dev.os_account import ServerAccount
from dev.ports import free_port
from dev.state import write_private

SUPERUSER = "crayon"
_RECORD = "postgres.json"
_OWN_HOME = "postgres"
_FOREIGN_HOME = "crayon-postgres-"
_PRIVATE = 0o700
_FIRST_MAJOR_WITH_BUILTIN_LOCALE = 17


@dataclass(kw_only=True)
class ClusterRecord:
    """What the state folder remembers of its cluster (`postgres.json`, 0600)."""

    home: str  # absolute; the state folder's own `postgres`, or one the server's account can reach
    password: str
    port: int


class Cluster:
    """A PostgreSQL data folder that belongs to one state folder."""

    def __init__(self, state: Path, account: ServerAccount) -> None:
        """state: an existing folder, locked by the caller. Raises DevelopmentError if unusable."""
        self.account = account
        self._record_file = state / _RECORD
        self.record = self.recall(state) or ClusterRecord(
            home=str(self._choose_home(state)),
            password=secrets.token_urlsafe(24),
            port=free_port(),
        )
        self.home = Path(self.record.home)
        self.data = self.home / "data"
        self._claim_home()
        self.save()

    def save(self) -> None:
        """Write the record, privately."""
        write_private(self._record_file, json.dumps(asdict(self.record), indent=1) + "\n")

    def binaries(self, *, major: int | None = None) -> ServerBinaries:
        """Return the binaries to run, making the cluster with the first that can, if need be.

        major: the version to make it with; a cluster that exists keeps its own.
        """
        if self.data.exists():
            return self._matching_binaries()
        problem = "No PostgreSQL server binaries (15 to 18) were found on this machine."
        for candidate in available(major=major):
            try:
                reachable = self._reachable(candidate)
                self._initialize(reachable)
            except DevelopmentError as error:
                problem = str(error)
            else:
                return reachable
        raise DevelopmentError(problem)

    @staticmethod
    def remove(state: Path) -> None:
        """Delete the cluster of a state folder and what is remembered of it."""
        record = state / _RECORD
        with suppress(OSError, ValueError, KeyError):
            home = Path(json.loads(record.read_text(encoding="utf-8"))["home"])
            if home.name.startswith(_FOREIGN_HOME):  # Nothing but what we named is deleted.
                shutil.rmtree(home, ignore_errors=True)
        shutil.rmtree(state / _OWN_HOME, ignore_errors=True)
        record.unlink(missing_ok=True)

    @staticmethod
    def recall(state: Path) -> ClusterRecord | None:
        """Return what a state folder remembers of its cluster; DevelopmentError when that is damaged."""
        file = state / _RECORD
        try:
            record = ClusterRecord(**json.loads(file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            message = f"{file} is damaged: {error}. Delete its folder to start afresh."
            raise DevelopmentError(message) from error
        # A cluster that lay below the state folder follows it when that was moved.
        own = state / _OWN_HOME
        return ClusterRecord(home=str(own), password=record.password, port=record.port) if own.is_dir() else record

    def _choose_home(self, state: Path) -> Path:
        """Return the state folder's `postgres`, or a fresh folder where the account can reach it.

        Parents keep their modes whatever they are: a private home folder stays private.
        """
        own = state / _OWN_HOME
        if (own / "data").exists():
            message = (
                f"{own} holds a database, but {self._record_file} with its password is gone. "
                f"Delete {own} to start afresh."
            )
            raise DevelopmentError(message)
        if not self.account.switches or self.account.can_pass(state):
            return own
        for place in (Path("/var/tmp"), Path(tempfile.gettempdir())):  # noqa: S108 - mkdtemp is safe there
            if place.is_dir() and self.account.can_pass(place):
                return Path(tempfile.mkdtemp(prefix=_FOREIGN_HOME, dir=place))
        message = f"The account PostgreSQL must run as cannot reach {state} nor a temporary folder."
        raise DevelopmentError(message)

    def _claim_home(self) -> None:
        """Make the folder private and the account's own; refuse one somebody else put there."""
        self.home.mkdir(mode=_PRIVATE, exist_ok=True)
        found = self.home.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {
            os.geteuid(),
            self.account.uid,
        }:
            message = f"{self.home} should be our own folder, but belongs to somebody else."
            raise DevelopmentError(message)
        if found.st_uid != self.account.uid:
            self.account.take(self.home)
        if stat.S_IMODE(found.st_mode) != _PRIVATE:
            self.home.chmod(_PRIVATE)

    def _matching_binaries(self) -> ServerBinaries:
        made_by = (self.data / "PG_VERSION").read_text(encoding="ascii").strip()
        problem = (
            f"The database in {self.home} was made by PostgreSQL {made_by}, and no server binaries "
            f"of that version were found. Install them, or delete {self._record_file.parent} "
            "to start afresh."
        )
        for candidate in available(major=int(made_by)):
            try:
                return self._reachable(candidate)
            except DevelopmentError as error:
                problem = str(error)
        raise DevelopmentError(problem)

    def _reachable(self, binaries: ServerBinaries) -> ServerBinaries:
        if not self.account.switches or self.account.can_pass(binaries.folder):
            return binaries
        copied = self.home / "binaries"
        copied.mkdir(mode=_PRIVATE, exist_ok=True)
        reachable = copy_wheel_binaries(binaries, to=copied)
        self.account.take(copied)
        return reachable

    def _initialize(self, binaries: ServerBinaries) -> None:
        """Make the data folder: it appears under its name only when it is complete."""
        unfinished = self.home / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        password_file = self.home / "initial-password"
        write_private(password_file, self.record.password + "\n")
        self.account.take(password_file)
        try:
            done = subprocess.run(
                [
                    binaries.folder / "initdb",
                    f"--pgdata={unfinished}",
                    f"--username={SUPERUSER}",
                    f"--pwfile={password_file}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--no-sync",
                    *_locale_options(binaries.major),
                ],
                cwd=self.home,
                env=server_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                **self.account.as_process_arguments(),
            )
        finally:
            password_file.unlink(missing_ok=True)
        if done.returncode != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            message = f"initdb of PostgreSQL {binaries.major} failed: {done.stderr.strip()}"
            raise DevelopmentError(message)
        unfinished.rename(self.data)


def server_environment() -> dict[str, str]:
    """Return the environment PostgreSQL gets: nothing of ours, least of all PG* variables."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _locale_options(major: int) -> list[str]:
    """Return initdb's options for UTF-8 text that sorts by code point, on every machine alike."""
    if major >= _FIRST_MAJOR_WITH_BUILTIN_LOCALE:
        return ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    # The C library's C.UTF-8 also knows upper and lower case; not every system has it.
    return ["--locale=C.UTF-8" if sys.platform == "linux" else "--locale=C"]
