"""Runs flyctl once, under a supervisor, and reports line by line."""

import contextlib
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from fly.clients.flyctl import process_env
from fly.clients.flyctl.output_lines import LineSplitter, parts_of_token
from fly.clients.flyctl.progress import StepReader
from fly.clients.flyctl.types import Limits, Order, Outcome, StopReason

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_CHECK_SECONDS = 0.4
_READ_BYTES = 16_384
_MOST_LEFT_BYTES = 1 << 20
# What the supervisor needs beyond its own limits, on a busy machine, before it is killed itself.
_SPARE_SECONDS = 5.0
_GRACE_OF_THE_DESERTED = 5.0
# The supervisor counts from when it heard of us, which is a little after we spoke.
_EARLIER_THAN_SUPERVISOR = 0.9
_NOT_BEGUN, _KILLED_BY = 125, 128


def run(
    order: Order,
    *,
    on_line: Callable[[str], None],
    should_stop: Callable[[], StopReason | None],
    limits: Limits,
    reader: StepReader | None = None,
) -> Outcome:
    """Build and deploy as ordered, and wait for the end.

    `on_line` gets each line as soon as it is complete: clean, at most `output_lines.LONGEST_LINE` characters, without
    secrets. `reader` has read it by then. `should_stop` is asked right before flyctl is begun, and then about every
    0.4 seconds, also while nothing is printed. Where one of the two raises, or this process dies, flyctl is stopped.
    Raises FlyctlMissing before anything is begun.
    """
    command = process_env.command_line(order, process_env.find_program())
    process_env.prepare_folders(order)
    reader = reader or StepReader()
    splitter = LineSplitter([*parts_of_token(order.deploy_token), *process_env.secrets_within()])
    # Before the question: however long we are frozen between its answer and flyctl's beginning, the supervisor knows.
    asked_at = time.monotonic()
    if reason := should_stop():
        return _outcome(order, _NOT_BEGUN, reader, reason)
    with _SupervisedProcess(order, command, limits, since=asked_at) as process:
        watch = _Watch(process, should_stop, limits, since=asked_at)
        for data in process.output():
            for line in splitter.feed(data):
                reader.feed(line)
                on_line(line)
            watch.check(heard=bool(data))
        for line in splitter.finish():
            reader.feed(line)
            on_line(line)
        code = process.end()
    # Who was told to stop may have seen flyctl told so too, by whoever stops them all.
    reason = watch.reason or watch.lateness(time.monotonic()) or (should_stop() if code else None)
    return _outcome(order, code, reader, reason)


def _outcome(order: Order, code: int, reader: StepReader, reason: StopReason | None) -> Outcome:
    image = reader.image if _is_of(order.app, reader.image) else order.image or ""
    if code == 0:
        return Outcome(exit_code=0, image=image, failure="", stopped=None)
    return Outcome(exit_code=code, image=image, failure=reader.failure_after(code), stopped=reason)


def _is_of(app: str, image: str) -> bool:
    """Whether the image lies in the app's own repository; a build's own output could name any other."""
    _, _, repository = image.partition("/")
    return repository.partition("@")[0].partition(":")[0] == app


class _Watch:
    """Asks in time whether to go on, and stops the process where not."""

    def __init__(
        self,
        process: "_SupervisedProcess",
        should_stop: Callable[[], StopReason | None],
        limits: Limits,
        *,
        since: float,
    ) -> None:
        self.reason: StopReason | None = None
        self._process = process
        self._should_stop = should_stop
        self._limits = limits
        self._began_at = self._heard_at = time.monotonic()
        self._beat_at = since
        self._next_at = 0.0

    def check(self, *, heard: bool) -> None:
        """Look at the limits and ask whether to go on, unless that was done just now."""
        now = time.monotonic()
        if heard:
            self._heard_at = now
        if now < self._next_at:
            return
        if self.reason is None:
            self._decide(now)
        self._process.kill_when_overdue()
        self._next_at = time.monotonic() + _CHECK_SECONDS

    def _decide(self, now: float) -> None:
        self.reason = self._exceeded(now) or self._should_stop()
        # Taken once, and before the supervisor hears it: however long we are frozen from here on, it shows as lateness.
        spoke_at = time.monotonic()
        self.reason = self.reason or self.lateness(spoke_at)
        if self.reason is None:
            self._process.beat()
            self._beat_at = spoke_at
        elif self.reason is StopReason.CUT_OFF:
            self._process.desert()
        else:
            self._process.stop()

    def lateness(self, now: float) -> StopReason | None:
        """Cut off, when we were frozen or kept busy for so long that the supervisor has given us up, or is about to."""
        late = now - self._beat_at > self._limits.patience * _EARLIER_THAN_SUPERVISOR
        return StopReason.CUT_OFF if late else None

    def _exceeded(self, now: float) -> StopReason | None:
        if now - self._began_at > self._limits.total:
            return StopReason.TOO_LONG
        if now - self._heard_at > self._limits.silence:
            return StopReason.SILENT
        return None


class _SupervisedProcess:
    """Run flyctl under its supervisor. However the block is left, neither of the two runs any more."""

    def __init__(self, order: Order, command: list[str], limits: Limits, *, since: float) -> None:
        self._limits = limits
        self._overdue_at: float | None = None
        self._output, written = os.pipe()
        os.set_blocking(self._output, False)
        times = [str(limits.grace), str(limits.patience), str(since)]
        arguments = [*times, str(self._output), str(order.folder)]
        try:
            self._supervisor = subprocess.Popen(  # noqa: S603 - no shell, arguments of our own
                # Isolated and without site-packages: it starts in a few milliseconds and imports nothing of ours.
                [sys.executable, "-I", "-S", str(_SUPERVISOR), *arguments, *command],
                stdin=subprocess.PIPE,
                stdout=written,
                stderr=written,
                env=process_env.environment(order),
                cwd=order.folder,
                pass_fds=[self._output],
                start_new_session=True,
            )
        except BaseException:
            os.close(self._output)
            raise
        finally:
            os.close(written)
        if self._supervisor.stdin is not None:  # it is a pipe
            os.set_blocking(self._supervisor.stdin.fileno(), False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.desert()
        try:
            self._supervisor.wait(timeout=_GRACE_OF_THE_DESERTED + _SPARE_SECONDS)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()
        os.close(self._output)

    def output(self) -> Iterator[bytes]:
        """Give what is written, and b"" now and then while nothing is, until the process has ended."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            while self._supervisor.poll() is None:
                if not selector.select(_CHECK_SECONDS):
                    yield b""
                elif data := self._read():
                    yield data
                else:
                    break
        while self._supervisor.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._supervisor.wait(timeout=_CHECK_SECONDS)
            yield b""
        yield from self._left()

    def beat(self) -> None:
        """Tell the supervisor that all is well."""
        self._say(b".")

    def stop(self) -> None:
        """Interrupt flyctl, and kill it after a grace."""
        self._say(b"s")
        self._overdue_at = time.monotonic() + self._limits.grace + _SPARE_SECONDS

    def desert(self) -> None:
        """Leave the end to the supervisor: it comes within seconds, and the job's folder goes with it."""
        if self._supervisor.stdin is not None and not self._supervisor.stdin.closed:
            with contextlib.suppress(OSError):
                self._supervisor.stdin.close()
        if self._overdue_at is None:
            self._overdue_at = time.monotonic() + _GRACE_OF_THE_DESERTED + _SPARE_SECONDS

    def kill_when_overdue(self) -> None:
        """Kill a supervisor that doesn't get its work done; the kernel then kills flyctl."""
        if self._overdue_at is not None and time.monotonic() > self._overdue_at:
            self._supervisor.kill()

    def end(self) -> int:
        """Give the exit code, 128 and the signal's number after a kill."""
        code = self._supervisor.wait()
        return code if code >= 0 else _KILLED_BY - code

    def _say(self, word: bytes) -> None:
        with contextlib.suppress(OSError):
            if self._supervisor.stdin is not None and not self._supervisor.stdin.closed:
                os.write(self._supervisor.stdin.fileno(), word)

    def _read(self) -> bytes:
        try:
            return os.read(self._output, _READ_BYTES)
        except BlockingIOError:
            # The supervisor reads along once it has given us up.
            return b""

    def _left(self) -> Iterator[bytes]:
        left = _MOST_LEFT_BYTES
        while left > 0 and (data := self._read()):
            left -= len(data)
            yield data
