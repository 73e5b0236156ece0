"""Starts workers on the test's database and sandbox, to kill them.

A `WorkerProcess` is a whole `manage.py worker`. A `Nursery` has Django in memory and forks workers that are
there at once; these can be told to kill themselves before or after a function.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from tests.crashing_worker import KILLED
from tests.gunicorn_process import environment_at
from tests.sandbox_process import SandboxProcess

_ROOT = Path(__file__).resolve().parent.parent
# Holds a lock for as long as flyctl lives, however it ends, and notes who found it taken.
_FLYCTL = """#!{python} -ISs
import fcntl, os, sys
app = sys.argv[sys.argv.index("-a") + 1]
lock = os.open(os.path.join({folder!r}, app), os.O_CREAT | os.O_RDWR)
os.set_inheritable(lock, True)
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    open({twice!r}, "a").write(app + "\\n")
os.execv({python!r}, [{python!r}, {stub!r}, *sys.argv[1:]])
"""


class Ground:
    """What workers on one machine have in common: folders, settings, and a flyctl that tells if two run for one app."""

    def __init__(self, sandbox: SandboxProcess, folder: Path) -> None:
        self._locks, self._twice = folder / "locks", folder / "twice"
        self.builds, self.storage = folder / "builds", folder / "storage"
        self._locks.mkdir()
        self.flyctl = folder / "flyctl"
        self.flyctl.write_text(
            _FLYCTL.format(
                python=sys.executable,
                folder=str(self._locks),
                twice=str(self._twice),
                stub=str(_ROOT / "sandbox" / "bin" / "flyctl"),
            )
        )
        self.flyctl.chmod(0o700)
        self.environment = environment_at(sandbox) | {
            "PUBLIC_URL": "http://localhost",
            "LOG_LEVEL": "INFO",
            "BUILD_FOLDER": str(self.builds),
            "STORAGE_FOLDER": str(self.storage),
            "FLYCTL": str(self.flyctl),
        }

    def left_over(self) -> list[str]:
        """The folders of builds, and the archives."""
        found = [path.name for path in self.builds.iterdir()] if self.builds.exists() else []
        return found + [path.name for path in self.storage.rglob("*") if path.is_file()]

    def built_twice_at_once(self) -> list[str]:
        """The apps at Fly for which a flyctl was started while another one ran."""
        return self._twice.read_text().split() if self._twice.exists() else []

    def lock_of(self, app: str) -> Path:
        """The file that is locked while a flyctl runs for the app."""
        return self._locks / app

    def flyctls(self) -> list[int]:
        """The processes that have to do with flyctl: guards, and itself."""
        running = psutil.process_iter(["cmdline"])
        return [process.pid for process in running if str(self.builds) in " ".join(process.info["cmdline"] or [])]

    def clear(self) -> None:
        """Remove what a failed test may have left, and forget what was noted."""
        self._twice.unlink(missing_ok=True)
        for folder in (self.builds, self.storage):
            shutil.rmtree(folder, ignore_errors=True)


class Worker:
    """One running worker. `log` is all that it wrote."""

    def __init__(self, pid: int, log_file: Path, wait: Callable[[float], bool], points: tuple[str, ...] = ()) -> None:
        self.pid = pid
        self._log_file = log_file
        self._wait = wait
        self._points = points

    @property
    def log(self) -> str:
        return self._log_file.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """End it as `kill -9` does, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        assert self._wait(30), "it outlived SIGKILL"

    def stop(self, *, seconds: float = 50) -> None:
        """Ask it to end, and wait until it has."""
        self.signal(signal.SIGTERM)
        assert self._wait(seconds), f"it did not end:\n{self.log[-3000:]}"

    def wait_until_dead(self, *, seconds: float = 40) -> None:
        """Wait until it has killed itself at one of its points; any other end fails the test."""
        assert self._wait(seconds), f"it lives:\n{self.log[-3000:]}"
        was_killed = any(f"\n{KILLED} {point}\n" in self.log for point in self._points)
        assert was_killed, f"it ended otherwise than at {self._points}:\n{self.log[-3000:]}"

    def signal(self, number: int) -> None:
        """Send it a signal; one that is gone already doesn't mind."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


class WorkerProcess(Worker):
    """A whole worker, as `manage.py worker` starts it."""

    def __init__(self, ground: Ground, **environment: str) -> None:
        log_file = Path(tempfile.mkdtemp(prefix="crayon-worker-")) / "log"
        with log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "manage.py", "worker"],
                cwd=_ROOT,
                env=ground.environment | environment,
                stdout=log,
                stderr=log,
            )
        super().__init__(self._process.pid, log_file, self._ended)

    def _ended(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self.kill()


class Nursery:
    """Forks workers. All of them are killed when it ends."""

    def __init__(self, ground: Ground) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="crayon-workers-"))
        self._count = 0
        self._workers: list[Worker] = []
        self._complaints = (self._folder / "nursery").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crashing_worker"],
            cwd=_ROOT,
            env=ground.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
        )

    def start(self, *points: str, constants: Mapping[str, float] | None = None, **settings: int) -> Worker:
        """A worker; it kills itself at the points, each `before module:name` or `after module:name`.

        At `frozen module:name` it freezes instead, after the function and within a transaction. `constants`
        are the names of modules, `module:name`, that have other values in it. A point that isn't there fails
        the test at once.
        """
        self._count += 1
        log_file = self._folder / str(self._count)
        log_file.touch()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"points": points, "log": str(log_file), "settings": settings, "constants": dict(constants or {})}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        assert answer, (self._folder / "nursery").read_text()
        assert answer.isdecimal(), answer
        pid = int(answer)
        worker = Worker(pid, log_file, lambda seconds: _is_gone(pid, seconds), points)
        self._workers.append(worker)
        return worker

    def kill_all(self) -> None:
        """Kill every worker that still runs."""
        for worker in self._workers:
            if not _is_gone(worker.pid, 0):
                worker.kill()
        self._workers.clear()

    def close(self) -> None:
        """End it with all its workers."""
        self.kill_all()
        self._process.kill()
        self._process.communicate()
        self._complaints.close()


def _is_gone(pid: int, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while psutil.pid_exists(pid):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True
