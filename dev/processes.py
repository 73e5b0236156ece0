"""Child processes that do not outlive the one that started them, and the programs of `make dev`."""

import ctypes
import os
import pwd
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import urllib3

from dev.errors import DevelopmentError

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
# A line of the access log, and records below WARNING as our logs and gunicorn's write them.
_ROUTINE = re.compile(rb"[A-Z]+ /\S* [0-9]{3} |\S+ \S+ (?:INFO|DEBUG) |\[[^\]]*\] \[[0-9]+\] \[(?:INFO|DEBUG)\]")
_OK = 200


def _leash(death_signal: signal.Signals) -> Callable[[], None] | None:
    """Return what a child does before it becomes its program, so that the kernel ends it with its starter.

    The kernel looks at the *thread* that started the child, so children are started from the main thread.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def hold() -> None:
        prctl(_SET_PARENT_DEATH_SIGNAL, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:  # It died between fork and prctl.
            os._exit(1)

    return hold


def start(  # noqa: PLR0913 - keyword-only, and each is a property of a process
    command: Sequence[str | Path],
    *,
    output: int | IO[bytes],
    environment: Mapping[str, str],
    folder: Path | None = None,
    account: pwd.struct_passwd | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
) -> "subprocess.Popen[bytes]":
    """Start a program, both outputs to `output`, as somebody else if `account` is given.

    In its own process group it does not hear the terminal's Ctrl-C: its starter stops children in order.
    """
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=dict(environment),
        cwd=folder,
        process_group=0,
        preexec_fn=_leash(death_signal),  # noqa: PLW1509 - one system call, no lock is taken
        **arguments_of(account),
    )


def arguments_of(account: pwd.struct_passwd | None) -> dict[str, Any]:
    """Return what makes a child this account and nothing more; None is ourselves."""
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}


def stop(child: "subprocess.Popen[bytes]", *signals: signal.Signals, patience: float) -> None:
    """Send each signal in turn, waiting `patience` seconds after each, then kill the group."""
    for number in signals:
        child.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            child.wait(patience)
            return
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def run(command: Sequence[str], *, environment: Mapping[str, str], log: Path) -> None:
    """Run a short program to its end; raise DevelopmentError with the end of its log if it fails."""
    with log.open("wb") as output:
        child = start(command, output=output, environment=environment)
        try:
            failed = child.wait() != 0
        finally:
            stop(child, signal.SIGINT, patience=3)
    if failed:
        raise DevelopmentError(f"{log.stem} failed; the end of {log}:\n{end_of(log)}")


def end_of(log: Path) -> str:
    """Return its last lines."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])


class Program:
    """A long-running child: its lines go to `<logs>/<name>.log`; those of some weight, prefixed, to the terminal."""

    def __init__(
        self, name: str, command: Sequence[str], *, logs: Path, death_signal: signal.Signals = signal.SIGTERM
    ) -> None:
        """Prepare; nothing runs yet. `death_signal` is what it gets when we die without stopping it."""
        self.name, self.command, self.log = name, command, logs / f"{name}.log"
        self._death_signal = death_signal
        self._child: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self.log.unlink(missing_ok=True)

    def start(self, environment: Mapping[str, str]) -> None:
        """Start it in the project's folder, or start it again when it has ended."""
        self._child = start(
            self.command, output=subprocess.PIPE, environment=environment, death_signal=self._death_signal
        )
        self._reader = threading.Thread(target=self._relay, args=[self._child.stdout], daemon=True)
        self._reader.start()

    def has_ended(self) -> bool:
        """Say whether it was started and is no longer running."""
        return self._child is not None and self._child.poll() is not None

    def stop(self) -> None:
        """Stop it within a few seconds; harmless when it does not run."""
        if self._child is not None and self._reader is not None:
            # gunicorn takes SIGINT for a quick end; SIGTERM would wait for open connections.
            stop(self._child, signal.SIGINT, patience=3)
            self._reader.join(1)

    def _relay(self, output: IO[bytes]) -> None:
        with self.log.open("ab", buffering=0) as log, output:
            for line in output:
                log.write(line)
                if not is_routine(line):
                    sys.stdout.write(f"{self.name:>7} | {line.decode('utf-8', 'replace')}")
                    sys.stdout.flush()


def is_routine(line: bytes) -> bool:
    """Say whether a line is a request's or of no weight: what people look for at the terminal must not scroll away."""
    return _ROUTINE.match(line) is not None


def require_running(programs: Sequence[Program]) -> None:
    """Raise DevelopmentError naming the first program that has ended, and its log."""
    for program in programs:
        if program.has_ended():
            raise DevelopmentError(f"The {program.name} has stopped; its log is {program.log}.")


def wait_until_answering(url: str, programs: Sequence[Program], *, patience: float) -> None:
    """Wait for 200 from `url`; raise DevelopmentError when it takes too long or a program ends."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        require_running(programs)
        with suppress(urllib3.exceptions.HTTPError):
            if urllib3.request("GET", url, retries=False, timeout=5).status == _OK:
                return
        time.sleep(0.1)
    raise DevelopmentError(f"{url} did not answer within {patience:.0f} seconds.")
