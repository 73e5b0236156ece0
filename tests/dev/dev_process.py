"""Starts `make dev` as a person does: the real command, on ports and in a folder of the test's own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from dev.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
# The tests' own settings would win over the presets that are tested here.
KEPT_VARIABLES = ("PATH", "HOME", "TMPDIR", "LANG", "VIRTUAL_ENV", "PYTHONPATH")
PATIENCE = 180


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

    def processes(self) -> dict[int, list[str]]:
        """The words of the processes started for this state folder or these ports, itself included, by number."""
        marks = (str(self.state), f"127.0.0.1:{self.port}", str(self.sandbox_port))
        found = {}
        for process in psutil.process_iter(["cmdline", "environ"]):
            words, environment = process.info["cmdline"] or [], process.info["environ"] or {}
            if environment.get("DEV_STATE") == str(self.state) or any(mark in " ".join(words) for mark in marks):
                found[process.pid] = words
        return {pid: words for pid, words in found.items() if pid != os.getpid()}

    def running(self, word: str) -> set[int]:
        """Return those of them that have this word in their command line."""
        return {pid for pid, words in self.processes().items() if word in words}

    def wait_until_gone(self) -> None:
        """For what ends by itself, since whoever started it was killed."""
        deadline = time.monotonic() + 30
        while found := self.processes():
            assert time.monotonic() < deadline, found
            time.sleep(0.1)


RunDev = Callable[..., Dev]


def manage(state: Path, *words: str, **given: str) -> "subprocess.Popen[str]":
    """Start `make manage` with these words, told nothing but the state folder and what is given."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-m", "dev.manage", *words],
        cwd=ROOT,
        env=kept | {"DEV_STATE": str(state)} | given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def database_of(state: Path) -> str:
    """The address of the database that `make dev` serves."""
    noted: dict[str, str] = json.loads((state / "running.json").read_text(encoding="utf-8"))
    return noted["DATABASE_URL"]


def _port(said: str) -> int:
    """The port that is said, else a free one: it may be told one that is none."""
    return int(said) if said.isdecimal() else free_port()
