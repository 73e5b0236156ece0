"""A whole server of a test's own: web and worker processes, PostgreSQL, and the sandbox in place of all else."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg.rows import dict_row

from dev.postgres import EmbeddedPostgres
from tests.gunicorn_process import GunicornProcess
from tests.sandbox_process import SandboxProcess
from tests.worker_process import Ground, Nursery, Worker

_ROOT = Path(__file__).resolve().parents[3]
_SETTINGS = {
    "WEB_CONCURRENCY": "2",
    "WEB_THREADS": "8",
    # Each person comes from an address of their own, as far as limits go.
    "CLIENT_ADDRESS_HEADER": "Fly-Client-IP",
    "FLY_REGION": "iad",
    # A killed web process is replaced by a fork, which costs next to nothing.
    "GUNICORN_CMD_ARGS": "--preload",
}
WORKERS = 2


class World:
    """All of it."""

    def __init__(self, *, sandbox: SandboxProcess, folder: Path, state: Path) -> None:
        self.sandbox = sandbox
        self.postgres = EmbeddedPostgres(state=state, fsync=False)
        # What was committed outlives a crash of PostgreSQL, if not one of the machine.
        self.postgres._settings = self.postgres._settings | {"synchronous_commit": "on"}
        self.ground = Ground(sandbox, folder)
        self.workers: list[Worker] = []
        self.logs: list[Path] = []

    def __enter__(self) -> Self:
        self.postgres.start()
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def _start(self) -> None:
        with self._connected() as connection:
            connection.execute("CREATE DATABASE people")
        env = _SETTINGS | {"DATABASE_URL": self.postgres.url, "DATABASE_DATA_URL": self._url("people")}
        folders = {name: self.ground.environment[name] for name in ("BUILD_FOLDER", "STORAGE_FOLDER", "FLYCTL")}
        self.server = GunicornProcess(sandbox=self.sandbox, environment=env | folders)
        self.ground.environment |= env | {"PUBLIC_URL": self.server.url}
        command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        # All load the program at the same time.
        with subprocess.Popen(command, cwd=_ROOT, env=os.environ | self.ground.environment) as migrating:
            self.nursery = Nursery(self.ground)
            self.server.start()
        assert migrating.returncode == 0
        self.workers = [self.nursery.start() for _ in range(WORKERS)]
        self.sandbox.settings(webhook_url=f"{self.server.url}/webhooks/nango", rate_limit_per_minute=0)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all that runs."""
        for pid in [*self.web_pids(), *(worker.pid for worker in self.workers)]:
            _send(pid, signal.SIGCONT)
        if hasattr(self, "nursery"):
            self.nursery.close()
        if hasattr(self, "server"):
            self.server.stop()
        self.postgres.stop()

    def web_pids(self) -> list[int]:
        """The processes that answer requests."""
        return self.server._worker_pids() if getattr(self, "server", None) and self.server._process else []

    def kill_web(self, pid: int) -> None:
        """`kill -9`; gunicorn starts another one."""
        _send(pid, signal.SIGKILL)

    def replace_worker(self, number: int) -> None:
        """`kill -9`, and another one in its place."""
        self.workers[number].kill()
        self.workers[number] = self.nursery.start()

    def replace_workers(self, meanwhile: str) -> None:
        """`kill -9` for all, and others in their places once a query has told the database that time passed."""
        for worker in self.workers:
            worker.kill()
        self.change(meanwhile)
        self.workers = [self.nursery.start() for _ in self.workers]

    def freeze(self, pid: int) -> None:
        """Stop a process where it is, until it is thawed."""
        _send(pid, signal.SIGSTOP)

    def thaw(self, pid: int) -> None:
        """Let it go on."""
        _send(pid, signal.SIGCONT)

    def crash_database(self) -> None:
        """An immediate shutdown, which saves nothing, and a start. From the main thread: PostgreSQL ends with it."""
        server = self.postgres._server
        assert server is not None
        server.send_signal(signal.SIGQUIT)
        server.wait(30)
        self.postgres.stop()
        time.sleep(0.5)
        self.postgres.start()

    def select(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Rows of the server's database."""
        with self._connected() as connection:
            return connection.execute(query, values).fetchall()  # type: ignore[arg-type]

    def change(self, query: str) -> None:
        """Help time along."""
        with self._connected() as connection:
            connection.execute(query)  # type: ignore[arg-type]

    def written(self) -> dict[str, str]:
        """All that the processes wrote, by who did."""
        logs = sorted(self.nursery._folder.iterdir())
        return {"web": self.server.log} | {f"worker {log.name}": log.read_text(errors="replace") for log in logs}

    def _url(self, database: str) -> str:
        return f"{self.postgres.url.rpartition('/')[0]}/{database}"

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[dict[str, Any]]]:
        with psycopg.connect(self.postgres.url, autocommit=True, row_factory=dict_row) as connection:
            yield connection


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
