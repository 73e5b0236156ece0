"""Starts gunicorn as in production, on the test's database, for tests that need the real thing."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import urllib3
from django.conf import settings
from django.db import connection

from dev.ports import LOOPBACK
from tests.sandbox_process import SandboxProcess

_ROOT = Path(__file__).resolve().parent.parent
_CONFIGURATION = "config/gunicorn.conf.py"


class GunicornProcess:
    """A running server. `url` is its address, `log` all that it wrote.

    One that is to have new workers often is `preloaded`: they are then forked from a process that has the program
    already, instead of loading it each time.
    """

    def __init__(
        self, *, sandbox: SandboxProcess, environment: dict[str, str] | None = None, preloaded: bool = False
    ) -> None:
        self._sandbox = sandbox
        self._options = ["--preload"] if preloaded else []
        self._extra = environment or {}
        self._http = urllib3.PoolManager(retries=False, timeout=15, maxsize=64)
        self._log_file = Path(tempfile.mkdtemp(prefix="crayon-gunicorn-")) / "log"
        self._process: subprocess.Popen[bytes] | None = None
        # Bound and not listened on, so that nobody else is given the port in the seconds until gunicorn has it.
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind((LOOPBACK, 0))
        self.port: int = self._reserved.getsockname()[1]
        self.url = f"http://localhost:{self.port}"

    @property
    def log(self) -> str:
        return self._log_file.read_text(encoding="utf-8", errors="replace") if self._log_file.exists() else ""

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def worker_pid(self) -> int:
        (pid,) = self._worker_pids()
        return pid

    def start(self) -> Self:
        self.launch()
        self.wait_until_ready()
        return self

    def launch(self) -> None:
        """Start it, and don't wait until it answers."""
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", *self._options, "-c", _CONFIGURATION, "config.wsgi:application"],
                cwd=_ROOT,
                env=self._environment(),
                stdout=log,
                stderr=log,
            )

    def stop(self) -> None:
        self._reserved.close()
        if self._process is None:
            return
        # SIGQUIT stops the workers at once: browsers keep connections open, for which SIGTERM waits long.
        workers = self._worker_pids()
        self._process.send_signal(signal.SIGQUIT)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            for pid in [self.pid, *workers]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait()
        self._process = None
        self._http.clear()

    def kill(self) -> None:
        """End all of it at once, as when its machine is lost; it can be started again."""
        assert self._process is not None
        for pid in [self.pid, *self._worker_pids()]:
            os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    @contextlib.contextmanager
    def halted(self) -> Iterator[None]:
        """Its worker stands still until `go_on`, or until the end."""
        os.kill(self.worker_pid, signal.SIGSTOP)
        try:
            yield
        finally:
            self.go_on()

    def go_on(self) -> None:
        os.kill(self.worker_pid, signal.SIGCONT)

    def terminate(self) -> None:
        """Ask it to stop, as a deployment does; it finishes what it is at."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def wait_until_stopped(self, *, seconds: float = 40) -> None:
        """Return when it has stopped by itself; it can be started again."""
        assert self._process is not None
        self._process.wait(timeout=seconds)
        self._process = None

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def restart_workers(self) -> None:
        """Replace the worker process, and with it whatever it cached, counted and had still under way."""
        before = self._worker_pids()
        for pid in before:
            # gunicorn starts another at once. Asked to stop, it would wait for the connections that tests keep.
            os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if not set(before) & set(self._worker_pids()) and self._worker_pids():
                break
            time.sleep(0.01)
        self.wait_until_ready()

    def wait_until_ready(self, *, seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if self._http.request("GET", f"{self.url}/_/ready").status == 200:
                    return
            except urllib3.exceptions.HTTPError:
                pass
            time.sleep(0.02)
        raise AssertionError(f"the server did not become ready:\n{self.log[-3000:]}")

    def request(self, method: str, path: str, **options: Any) -> urllib3.BaseHTTPResponse:
        """Ask the server; `token`, `json` and urllib3's own options."""
        headers = dict(options.pop("headers", {}))
        if token := options.pop("token", ""):
            headers["Authorization"] = f"Bearer {token}"
        return self._http.request(method, f"{self.url}{path}", headers=headers, redirect=False, **options)

    def _worker_pids(self) -> list[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        return [int(pid) for pid in children.split()]

    def _environment(self) -> dict[str, str]:
        return environment_at(self._sandbox) | {
            "BIND": f"127.0.0.1:{self.port}",
            "WEB_CONCURRENCY": "1",
            "PUBLIC_URL": self.url,
            **self._extra,
        }


def environment_at(sandbox: SandboxProcess) -> dict[str, str]:
    """Production settings of a process on the test's database and this sandbox."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SECRET_KEY", "ENCRYPTION_KEYS") if name in os.environ}
    return kept | {
        "PYTHONUNBUFFERED": "1",
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
        "DATABASE_URL": _database_url(),
        "GITHUB_URL": sandbox.github_url,
        "GITHUB_API_URL": sandbox.github_api_url,
        "GITHUB_CLIENT_ID": settings.GITHUB_CLIENT_ID,
        "GITHUB_CLIENT_SECRET": settings.GITHUB_CLIENT_SECRET,
        "NANGO_SERVER_URL": sandbox.nango_url,
        # What is asked of Nango is seen there, unless a test is about what is kept.
        "CREDENTIALS_CACHE_SECONDS": "0",
        "NANGO_SECRET_KEY": "00000000-0000-4000-8000-000000000001",
        "NANGO_WEBHOOK_SIGNING_KEY": "sandbox-webhook-signing-key",
        "FLY_API_URL": sandbox.fly_url,
        "FLY_PLATFORM_URL": sandbox.fly_url,
        "FLY_APP_URL": f"{sandbox.fly_url}/apps/{{app}}",
        "FLY_API_TOKEN": "sandbox-fly-org-token",
        "FLY_ORG": "sandbox",
        "DEV_UI_JWT_PRIVATE_KEY": settings.DEV_UI_JWT_PRIVATE_KEY,
        "LOG_LEVEL": "DEBUG",
    }


def _database_url() -> str:
    parts = connection.settings_dict
    return f"postgres://{parts['USER']}:{parts['PASSWORD']}@{parts['HOST']}:{parts['PORT']}/{parts['NAME']}"
