"""The programs `make dev` runs: each with a log file, its lines also shown at the terminal."""

import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from dev import children
from dev.errors import DevelopmentError

# Loopback only, and never through the proxy the environment may name.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_HEALTHY = 200


class Program:
    """A long-running child: its lines go to `<logs>/<name>.log` and, prefixed, to the terminal."""

    def __init__(
        self, name: str, command: Sequence[str], *, logs: Path, death_signal: signal.Signals = signal.SIGTERM
    ) -> None:
        """Prepare; nothing runs yet. `death_signal` is what it gets when we die without stopping it."""
        self._death_signal = death_signal
        self.name = name
        self.command = command
        self.log = logs / f"{name}.log"
        self._child: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None

    def start(self, environment: Mapping[str, str]) -> None:
        """Start it in the project's folder, with an empty log."""
        self._child = children.start(
            self.command,
            output=subprocess.PIPE,
            environment=environment,
            folder=Path.cwd(),
            death_signal=self._death_signal,
        )
        output = self._child.stdout
        if output is None:
            message = f"{self.name} has no output."
            raise DevelopmentError(message)
        self._reader = threading.Thread(target=self._relay, args=[output], daemon=True)
        self._reader.start()

    def ended(self) -> bool:
        """Say whether it was started and is no longer running."""
        return self._child is not None and self._child.poll() is not None

    def stop(self) -> None:
        """Stop it within a few seconds; harmless when it does not run."""
        if self._child is not None:
            # gunicorn takes SIGINT for a quick end; SIGTERM would wait for open connections.
            children.stop(self._child, signal.SIGINT, patience=3)
        if self._reader is not None:
            self._reader.join(1)

    def _relay(self, output: IO[bytes]) -> None:
        with self.log.open("wb") as log, output:
            for line in output:
                log.write(line)
                log.flush()
                sys.stdout.write(f"{self.name:>7} | {line.decode('utf-8', 'replace')}")
                sys.stdout.flush()


def run(command: Sequence[str], *, environment: Mapping[str, str], log: Path) -> None:
    """Run a short program to its end; raise DevelopmentError with the end of its log if it fails."""
    with log.open("wb") as output:
        child = children.start(command, output=output, environment=environment, folder=Path.cwd())
        try:
            failed = child.wait() != 0
        finally:
            children.stop(child, signal.SIGINT, patience=3)
    if failed:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
        message = "\n".join([f"{log.stem} failed; the end of {log}:", *lines])
        raise DevelopmentError(message)


def wait_until_answering(url: str, programs: Sequence[Program], *, patience: float) -> None:
    """Wait for 200 from `url`; raise DevelopmentError when it takes too long or a program ends."""
    deadline = time.monotonic() + patience
    while not _answers(url):
        require_running(programs)
        if time.monotonic() > deadline:
            message = f"{url} did not answer within {patience:.0f} seconds."
            raise DevelopmentError(message)
        time.sleep(0.1)


def require_running(programs: Sequence[Program]) -> None:
    """Raise DevelopmentError naming the first program that has ended, and its log."""
    for program in programs:
        if program.ended():
            message = f"The {program.name} has stopped; its log is {program.log}."
            raise DevelopmentError(message)


def _answers(url: str) -> bool:
    try:
        with _DIRECT.open(url, timeout=5) as response:
            return bool(response.status == _HEALTHY)
    except (urllib.error.URLError, OSError, ValueError):
        return False
