"""A whole server of a test's own: web and worker processes, PostgreSQL, and the sandbox in place of all else."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psutil
import psycopg
from psycopg.rows import dict_row

from dev.postgres import EmbeddedPostgres
from tests.gunicorn_process import GunicornProcess
from tests.job_worker_process import Ground, Nursery, Worker
from tests.sandbox_process import SandboxProcess

_ROOT = Path(__file__).resolve().parents[3]
_SETTINGS = {
    "WEB_CONCURRENCY": "2",
    "WEB_THREADS": "8",
    # Each person comes from an address of their own, as far as limits go.
    "CLIENT_ADDRESS_HEADER": "Fly-Client-IP",
    "FLY_REGION": "iad",
    "MACHINES_PER_PERSON": "12",
    # A killed web process is replaced by a fork, which costs next to nothing.
    "GUNICORN_CMD_ARGS": "--preload",
}
_WORKERS = 2
# As if all whose work this was had been killed minutes ago.
_NOBODY_IS_AT_IT = """
UPDATE clouddev_machine SET heartbeat_at = now() - interval '5 minutes' WHERE heartbeat_at IS NOT NULL;
UPDATE deployments_build SET heartbeat_at = now() - interval '5 minutes' WHERE heartbeat_at IS NOT NULL;
UPDATE clouddev_cronrun SET next_step_at = now() WHERE finished_at IS NULL;
UPDATE procrastinate_workers SET last_heartbeat = now() - interval '5 minutes'
"""
# What workers do every ten seconds, and what was put off until later: now.
_NOW = """
UPDATE integrations_connection SET try_again_at = NULL;
UPDATE clouddev_machine SET heartbeat_at = now() - interval '1 minute' WHERE heartbeat_at > now();
INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock, args)
SELECT 'short', name, name, '{"timestamp": 0}'
  FROM unnest(ARRAY['clouddev.sweep', 'clouddev.tick', 'core.rescue_jobs', 'deployments.sweep', 'integrations.finish'])
       AS name
    ON CONFLICT DO NOTHING
"""


class World:
    """All of it."""

    def __init__(self, *, sandbox: SandboxProcess, folder: Path, state: Path) -> None:
        self.sandbox, self.ground = sandbox, Ground(sandbox, folder)
        self.postgres = EmbeddedPostgres(state=state, fsync=False)
        # What was committed outlives a crash of PostgreSQL, if not one of the machine.
        self.postgres._settings = self.postgres._settings | {"synchronous_commit": "on"}
        self.workers: list[Worker] = []

    def __enter__(self) -> Self:
        self.postgres.start()
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        self.change("CREATE DATABASE people")
        people = f"{self.postgres.url.rpartition('/')[0]}/people"
        env = _SETTINGS | {"DATABASE_URL": self.postgres.url, "DATABASE_DATA_URL": people}
        folders = {name: self.ground.environment[name] for name in ("BUILD_FOLDER", "STORAGE_FOLDER", "FLYCTL")}
        self.server = GunicornProcess(sandbox=self.sandbox, environment=env | folders)
        self.ground.environment |= env | {"PUBLIC_URL": self.server.url}
        command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        # All load the program at the same time.
        with subprocess.Popen(command, cwd=_ROOT, env=os.environ | self.ground.environment) as migrating:
            self.nursery = Nursery(self.ground)
            self.server.launch()
        assert migrating.returncode == 0
        self.server.wait_until_ready()
        self.workers = [self.nursery.start() for _ in range(_WORKERS)]
        self.sandbox.settings(webhook_url=f"{self.server.url}/webhooks/nango", rate_limit_per_minute=0)

    def __exit__(self, *_: object) -> None:
        for pid in [*self.web_pids(), *(worker.pid for worker in self.workers)]:
            send(pid, signal.SIGCONT)
        if hasattr(self, "nursery"):
            self.nursery.close()
        if hasattr(self, "server"):
            self.server.stop()
        self.postgres.stop()

    def web_pids(self) -> list[int]:
        """The processes that answer requests."""
        return self.server._worker_pids() if getattr(self, "server", None) and self.server._process else []

    def replace_workers(self) -> None:
        """`kill -9` for all, and others in their places to whom all that was begun looks long abandoned."""
        for worker in self.workers:
            worker.kill()
        # What guards a build ends it with its worker.
        until = time.monotonic() + 10
        while self.ground.flyctls() and time.monotonic() < until:
            time.sleep(0.05)
        self.change(_NOBODY_IS_AT_IT)
        self.workers = [self.nursery.start() for _ in self.workers]

    def hurry(self) -> None:
        """Have workers look now for what is left to do, instead of in ten seconds."""
        self.change(_NOW)

    def crash_database(self) -> None:
        """An immediate shutdown, which saves nothing, and a start. From the main thread: PostgreSQL ends with it."""
        file = self.postgres.home / "data" / "postmaster.pid"
        server = psutil.Process(int(file.read_text(encoding="utf-8").split("\n", 1)[0]))
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

    def _connected(self) -> psycopg.Connection[dict[str, Any]]:
        """A connection, as soon as the database is there."""
        until = time.monotonic() + 20
        while True:
            try:
                return psycopg.connect(self.postgres.url, autocommit=True, row_factory=dict_row)
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)


def send(pid: int, number: signal.Signals) -> None:
    """Send a process a signal, unless it is gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)
