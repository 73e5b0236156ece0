"""The programs `make dev` runs: each with a log file, its warnings and errors also shown at the terminal."""

import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Literal

from dev import subprocesses
from dev.errors import DevelopmentError

# Loopback only, and never through the proxy the environment may name.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_HEALTHY = 200
# Seconds between a program's end and its next start, and after how many the pauses needn't grow any more.
_SHORTEST_PAUSE, _LONGEST_PAUSE, _LASTING = 1.0, 30.0, 10.0


# A line of the access log, and records below WARNING as our logs and gunicorn's write them.
_ROUTINE = re.compile(rb"[A-Z]+ /\S* [0-9]{3} |\S+ \S+ (?:INFO|DEBUG) |\[[^\]]*\] \[[0-9]+\] \[(?:INFO|DEBUG)\]")


class Program:
    """A long-running child: its lines go to `<logs>/<name>.log`; those of some weight, prefixed, to the terminal."""

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
        """Start it in the project's folder, with an empty log; one that has ended begins anew, and its log goes on."""
        mode = "wb" if self._child is None else "ab"
        self._child = subprocesses.start(
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
        self._reader = threading.Thread(target=self._relay, args=[output, mode], daemon=True)
        self._reader.start()

    def ended(self) -> bool:
        """Say whether it was started and is no longer running."""
        return self._child is not None and self._child.poll() is not None

    def stop(self) -> None:
        """Stop it within a few seconds; harmless when it does not run."""
        if self._child is not None:
            # gunicorn takes SIGINT for a quick end; SIGTERM would wait for open connections.
            subprocesses.stop(self._child, signal.SIGINT, patience=3)
        if self._reader is not None:
            self._reader.join(1)

    def _relay(self, output: IO[bytes], mode: Literal["wb", "ab"]) -> None:
        with self.log.open(mode) as log, output:
            for line in output:
                log.write(line)
                log.flush()
                if not is_routine(line):
                    sys.stdout.write(f"{self.name:>7} | {line.decode('utf-8', 'replace')}")
                    sys.stdout.flush()


def is_routine(line: bytes) -> bool:
    """Say whether a line is a request's or of no weight: what people look for at the terminal must not scroll away."""
    return _ROUTINE.match(line) is not None


class Restarts:
    """Starts a program anew when it has ended, each time a while later if it doesn't last."""

    def __init__(self, program: Program, environment: Mapping[str, str]) -> None:
        """program: running since now."""
        self._program = program
        self._environment = environment
        self._pause = _SHORTEST_PAUSE
        self._started_at = time.monotonic()
        self._due_at: float | None = None

    def start_if_due(self) -> None:
        """Look after it; to be called several times a second."""
        now = time.monotonic()
        if self._due_at is None:
            if self._program.ended():
                self._plan(now)
        elif now >= self._due_at:
            self._due_at = None
            self._started_at = now
            self._program.start(self._environment)

    def _plan(self, now: float) -> None:
        lasted = now - self._started_at > _LASTING
        self._pause = _SHORTEST_PAUSE if lasted else min(self._pause * 2, _LONGEST_PAUSE)
        self._due_at = now + self._pause
        name, log = self._program.name, self._program.log
        sys.stdout.write(f"The {name} has stopped; it is started again in {self._pause:.0f} s. Its log is {log}.\n")
        sys.stdout.flush()


def run(command: Sequence[str], *, environment: Mapping[str, str], log: Path) -> None:
    """Run a short program to its end; raise DevelopmentError with the end of its log if it fails."""
    with log.open("wb") as output:
        child = subprocesses.start(command, output=output, environment=environment, folder=Path.cwd())
        try:
            failed = child.wait() != 0
        finally:
            subprocesses.stop(child, signal.SIGINT, patience=3)
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
