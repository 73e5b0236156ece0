"""Forks workers for tests: `python -m tests.crashing_worker`, steered by tests/worker_process.py.

Each line of standard input is a JSON object: `points` at which the worker kills itself with SIGKILL, each
`before module:name` or `after module:name`, or freezes, `frozen module:name`; the `log` file that it writes
to; `settings` to change, and `constants`, each `module:name`.
The answer is a line with its process id.
"""

import functools
import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

import django
from django.db import connection


def main() -> None:
    """Serve until standard input ends."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    importlib.import_module("deployments.tasks")
    # Nobody waits for the forked.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _work(json.loads(line))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def _work(order: dict[str, Any]) -> None:
    """Be a worker; never returns."""
    from django.conf import settings  # noqa: PLC0415 - after django.setup()
    from django.core.management import call_command  # noqa: PLC0415 - the same

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    nothing, log = os.open(os.devnull, os.O_RDONLY), os.open(order["log"], os.O_WRONLY | os.O_APPEND)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    try:
        for name, value in order["settings"].items():
            setattr(settings, name, value)
        for place, value in order["constants"].items():
            module, _, name = place.partition(":")
            setattr(importlib.import_module(module), name, value)
        for point in order["points"]:
            _crash_at(point)
        call_command("worker")
    except BaseException:  # noqa: BLE001 - it must not go on as the nursery
        traceback.print_exc()
    finally:
        os._exit(0)


def _crash_at(point: str) -> None:
    """Wrap the function of the point."""
    moment, _, place = point.partition(" ")
    module, _, name = place.partition(":")
    owner: Any = importlib.import_module(module)
    *outer, last = name.split(".")
    for part in outer:
        owner = getattr(owner, part)
    setattr(owner, last, _crashing(getattr(owner, last), moment))


def _crashing(function: Callable[..., Any], moment: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        if moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*arguments, **named)
        if moment == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        # The worst moment to freeze, once: everybody waits for what a transaction has locked.
        if moment == "frozen" and connection.in_atomic_block and not frozen:
            frozen.append(True)
            os.kill(os.getpid(), signal.SIGSTOP)
        return result

    frozen: list[bool] = []
    return wrapped


if __name__ == "__main__":
    main()
