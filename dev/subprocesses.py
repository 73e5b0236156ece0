"""Child processes that do not outlive the one that started them."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from dev.os_account import ServerAccount

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


def _leash(death_signal: signal.Signals) -> Callable[[], None] | None:
    """Return what the child must do before it becomes its program, where the kernel offers it.

    The kernel sends `death_signal` when the *thread* that started the child ends, so children are
    started from the main thread. Changing user clears the setting, and preexec_fn runs after that.
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
    folder: Path,
    account: ServerAccount | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
) -> "subprocess.Popen[bytes]":
    """Start a program in its own process group, both outputs to `output`, nothing to read.

    In its own group it does not hear the terminal's Ctrl-C: its starter stops children in order.
    """
    who = {} if account is None else account.as_process_arguments()
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=dict(environment),
        cwd=folder,
        process_group=0,
        preexec_fn=_leash(death_signal),  # noqa: PLW1509 - one system call, no lock is taken
        **who,
    )


def stop(child: "subprocess.Popen[bytes]", *signals: signal.Signals, patience: float) -> None:
    """Send each signal in turn, waiting `patience` seconds after each, then kill the group."""
    for number in signals:
        if child.poll() is not None:
            return
        with suppress(ProcessLookupError):
            child.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            child.wait(patience)
            return
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def command_line(pid: int) -> list[str]:
    """Return the words a running process was started with; empty when there is none."""
    proc = Path("/proc")
    if (proc / "self/cmdline").exists():
        try:
            words = (proc / str(pid) / "cmdline").read_bytes()
        except OSError:
            return []
        return words.decode(errors="replace").rstrip("\0").split("\0") if words else []
    listed = subprocess.run(
        ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    return listed.stdout.split()


def wait_until_gone(pid: int, *, patience: float) -> bool:
    """Wait up to `patience` seconds for a process that is not our child; say whether it is gone."""
    deadline = time.monotonic() + patience
    while command_line(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
