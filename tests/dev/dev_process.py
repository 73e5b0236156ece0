"""Starts `make dev` as a person does: the real command, on ports and in a folder of the test's own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from dev import subprocesses
from dev.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
# The tests' own settings would win over the presets that are tested here.
KEPT_VARIABLES = ("PATH", "HOME", "TMPDIR", "LANG", "VIRTUAL_ENV", "PYTHONPATH")
PATIENCE = 60


class Dev:
    """A running `python -m dev` and what it said."""

    def __init__(self, state: Path, **environment: str) -> None:
        self.state = state
        self.port, self.sandbox_port = (_port(environment.get(name, "")) for name in ("PORT", "SANDBOX_PORT"))
        self.output = state.with_name(f"{state.name}.output-{time.monotonic_ns()}")
        self.environment = {
            **{name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ},
            "PORT": str(self.port),
            "SANDBOX_PORT": str(self.sandbox_port),
            "DEV_STATE": str(state),
            **environment,
        }
        self.url = f"http://localhost:{self.port}"
        self.started = time.monotonic()
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dev"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=self.environment,
                start_new_session=True,
            )

    def said(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def wait_until_up(self) -> float:
        """Return the seconds until it said that everything runs."""
        while "Ctrl-C stops everything." not in self.said():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() - self.started < PATIENCE, self.said()
            time.sleep(0.05)
        return time.monotonic() - self.started

    def stop(self, number: signal.Signals = signal.SIGINT) -> tuple[int, float]:
        """Return its exit status and the seconds it took to stop."""
        started = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(PATIENCE), time.monotonic() - started

    def processes(self) -> set[int]:
        """Return the processes started for this state folder or these ports, itself included."""
        marks = (str(self.state), f"127.0.0.1:{self.port}", str(self.sandbox_port))
        found = set()
        for pid in all_processes():
            words = subprocesses.command_line(pid)
            environment = environment_of(pid)
            if f"DEV_STATE={self.state}" in environment or any(mark in " ".join(words) for mark in marks):
                found.add(pid)
        return found - {os.getpid()}

    def running(self, word: str) -> set[int]:
        """Return those of them that have this word in their command line."""
        return {pid for pid in self.processes() if word in subprocesses.command_line(pid)}


RunDev = Callable[..., Dev]


def all_processes() -> list[int]:
    if Path("/proc/self").exists():
        return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    listed = subprocess.run(["ps", "-A", "-o", "pid="], capture_output=True, text=True, check=True)
    return [int(word) for word in listed.stdout.split()]


def environment_of(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def _port(said: str) -> int:
    """The port that is said, else a free one: it may be told one that is none."""
    return int(said) if said.isdecimal() else free_port()
