"""Runs one command for a worker, and sees to it that the command ends when the worker does.

`python -I -S supervisor.py GRACE PATIENCE SINCE OUTPUT FOLDER COMMAND…`, standard library only.

A worker may be killed at any moment, and nobody else would know of its flyctl. So this small process
stands between them. Its standard input is the lifeline, a pipe that only the worker holds open:

- a byte `.` says that the worker lives and still may do this work;
- `s` asks to stop: the command's process group gets SIGINT, and SIGKILL after GRACE seconds;
- its end, or PATIENCE seconds without a byte, means that the worker is dead, frozen or cut off: SIGINT,
  SIGKILL after five seconds, and the job's FOLDER is removed. The first of these seconds are counted from
  SINCE, by the clock that all processes share (`time.monotonic`): that is when the worker last saw that it may do
  this work. Where they are over already, since it was frozen on its way here, the command isn't begun at all.

SIGTERM, SIGINT and SIGHUP to the supervisor count as `s`. The exit code is the command's, 128 and the number of
the signal that killed it, 126 when it can't be started, or 125 when it isn't begun. OUTPUT is the number of
the file that the worker reads the command's output from. The supervisor keeps it open, so that the command isn't
killed by SIGPIPE before it has given back its leases, and reads it once nobody else does.
"""

import contextlib
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time

_LIFELINE = 0
_GRACE_OF_THE_DESERTED = 5.0
_LONGEST_SLEEP = 1.0
_READ_BYTES = 65_536
_TOO_LATE, _CANT_START = 125, 126
_KILLED_BY = 128
_PR_SET_PDEATHSIG = 1  # prctl(2)


class Guard:
    """Watches over one running command, the leader of its process group."""

    def __init__(
        self, process: subprocess.Popen[bytes], *, grace: float, patience: float, since: float, output: int
    ) -> None:
        self.deserted = False
        self._process = process
        self._grace = grace
        self._patience = patience
        self._output = output
        self._heard_at = since
        self._kill_at: float | None = None

    def watch(self, wakeup: int) -> int:
        """Wait for the command's end, stopping it when there is reason to; gives its exit code."""
        sources = {_LIFELINE, wakeup}
        while not self._is_over():
            readable, _, _ = select.select(list(sources), [], [], self._sleep())
            if wakeup in readable and _asks_to_stop(os.read(wakeup, _READ_BYTES)):
                self._stop(self._grace)
            if _LIFELINE in readable and not self._listen():
                sources.discard(_LIFELINE)
            if self._output in readable and self._has_ended(self._output):
                sources.discard(self._output)
            was_deserted = self.deserted
            self._lose_patience()
            if self.deserted and not was_deserted:
                sources.add(self._output)
        # Whatever the command started in its group ends with it. Its number is still its own: it isn't waited for yet.
        self._signal(signal.SIGKILL)
        code = self._process.wait()
        return code if code >= 0 else _KILLED_BY - code

    @staticmethod
    def _has_ended(output: int) -> bool:
        try:
            return not os.read(output, _READ_BYTES)
        except BlockingIOError:  # a worker that was only frozen reads again
            return False

    def _is_over(self) -> bool:
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _sleep(self) -> float:
        now = time.monotonic()
        until = self._kill_at if self._kill_at is not None else self._heard_at + self._patience
        return min(max(until - now, 0.0), _LONGEST_SLEEP)

    def _listen(self) -> bool:
        said = os.read(_LIFELINE, _READ_BYTES)
        if not said:
            self._heard_at = -self._patience
            return False
        self._heard_at = time.monotonic()
        if b"s" in said:
            self._stop(self._grace)
        return True

    def _lose_patience(self) -> None:
        now = time.monotonic()
        if not self.deserted and now >= self._heard_at + self._patience:
            self.deserted = True
            self._stop(_GRACE_OF_THE_DESERTED)
        if self._kill_at is not None and now >= self._kill_at:
            self._signal(signal.SIGKILL)
            self._kill_at = now + _LONGEST_SLEEP

    def _stop(self, grace: float) -> None:
        kill_at = time.monotonic() + grace
        if self._kill_at is None:
            self._signal(signal.SIGINT)
        self._kill_at = kill_at if self._kill_at is None else min(self._kill_at, kill_at)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def main(arguments: list[str]) -> int:
    """Run the command of the arguments to its end; gives the exit code."""
    grace, patience, since, output, folder, *command = arguments
    if time.monotonic() >= float(since) + float(patience):
        shutil.rmtree(folder, ignore_errors=True)
        return _TOO_LATE
    wakeup = _wake_on_signals()
    me = os.getpid()
    try:
        process = subprocess.Popen(  # noqa: S603 - no shell; the worker made the command
            command,
            stdin=subprocess.DEVNULL,
            process_group=0,
            preexec_fn=lambda: _die_with(me),  # noqa: PLW1509 - this process has one thread
        )
    except OSError as error:
        sys.stderr.write(f"Error: flyctl can't be started: {error.strerror}\n")
        return _CANT_START
    _let_go_of_output()
    supervisor = Guard(process, grace=float(grace), patience=float(patience), since=float(since), output=int(output))
    code = supervisor.watch(wakeup)
    if supervisor.deserted:
        shutil.rmtree(folder, ignore_errors=True)
    return code


def _wake_on_signals() -> int:
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        # A function and not SIG_IGN, which the command would inherit.
        signal.signal(number, lambda _number, _frame: None)
    return readable


def _asks_to_stop(signals: bytes) -> bool:
    return any(number != signal.SIGCHLD for number in signals)


def _die_with(supervisor: int) -> None:
    """Between fork and exec: have the kernel kill the command when the supervisor is killed (Linux only)."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:
        os._exit(_KILLED_BY + signal.SIGKILL)


def _let_go_of_output() -> None:
    """The worker sees the end of the output when the command ends, not when the supervisor does."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for target in (1, 2):
        os.dup2(nothing, target)
    os.close(nothing)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
