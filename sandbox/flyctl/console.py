"""What the program says, and how it ends."""

import signal
import sys
from types import FrameType
from typing import NoReturn


class Failed(Exception):
    """Exit code 1, with the sentence on stderr."""


class Interrupted(BaseException):
    """SIGINT or SIGTERM came: clean up, say nothing more, exit with 127."""


def out(line: str) -> None:
    """Print a line of the plan or of the machines."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def err(line: str) -> None:
    """Print a line of the build."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def heed_signals() -> None:
    """From now on the first SIGINT or SIGTERM raises Interrupted; repeats are swallowed."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise Interrupted
