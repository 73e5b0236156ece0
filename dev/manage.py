"""`make manage`: manage.py with the settings and the database of `make dev`, running or not."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from dev.default_env import environment_beside
from dev.errors import DevelopmentError, FolderInUseError
from dev.instance import instance
from dev.options import Options

_INTERRUPTED = 130


def main(words: Sequence[str]) -> int:
    """Run one command of manage.py, given by its words; return its status, or 1 when there is no database."""
    try:
        options = Options.read(os.environ)
        with ExitStack() as running:
            try:
                environment = running.enter_context(instance(options))
            except FolderInUseError:
                environment = environment_beside(options.state, os.environ)
            return _run([sys.executable, "manage.py", *words], environment)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except DevelopmentError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run to the end. Ctrl-C reaches the command too, which may take its time: a worker hands its builds over."""
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    with subprocess.Popen(command, env=environment) as child:
        status = child.wait()
    # A shell's way to tell of a signal.
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
