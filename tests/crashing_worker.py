"""Forks workers for tests: `python -m tests.crashing_worker`, steered by tests/job_worker_process.py.

Each line of standard input is a JSON object: `points` at which the worker kills itself with SIGKILL, each
`before module:name` or `after module:name`, or freezes, `frozen module:name`; the `log` file that it writes
to; `settings` to change, and `constants`, each `module:name`.
The answer is a line with its process id, or with what is wrong with a point.
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

KILLED = "killed"
MOMENTS = ("before", "after", "frozen")


def main() -> None:
    """Serve until standard input ends."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    importlib.import_module("deployments.tasks")
    # Nobody waits for the forked.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        order = json.loads(line)
        # Before anything runs: a worker without its point would live, or end for another reason.
        problem = _problem_of(order["points"])
        pid = 0 if problem else os.fork()
        if not problem and pid == 0:
            _work(order)
        sys.stdout.write(f"{problem or pid}\n")
        sys.stdout.flush()


def _problem_of(points: list[str]) -> str:
    """What is wrong with the first point that can't be used; empty when all can be."""
    for point in points:
        try:
            _, owner, name = _place_of(point)
            function = getattr(owner, name)
        except (ImportError, AttributeError, ValueError) as error:
            return f"no point {point!r}: {error}"
        if not callable(function):
            return f"no point {point!r}: it can't be called"
    return ""


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


def _place_of(point: str) -> tuple[str, Any, str]:
    """Its moment, and the module or class that has a function of that name.

    Raises ImportError, AttributeError or ValueError where there is none.
    """
    moment, _, place = point.partition(" ")
    if moment not in MOMENTS:
        message = f"{moment!r} is none of {', '.join(MOMENTS)}"
        raise ValueError(message)
    module, _, name = place.partition(":")
    owner: Any = importlib.import_module(module)
    *outer, last = name.split(".")
    for part in outer:
        owner = getattr(owner, part)
    return moment, owner, last


def _crash_at(point: str) -> None:
    """Wrap the function of the point."""
    moment, owner, name = _place_of(point)
    setattr(owner, name, _crashing(getattr(owner, name), moment, point))


def _crashing(function: Callable[..., Any], moment: str, point: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        if moment == "before":
            _die(point)
        result = function(*arguments, **named)
        if moment == "after":
            _die(point)
        # The worst moment to freeze, once: everybody waits for what a transaction has locked.
        if moment == "frozen" and connection.in_atomic_block and not frozen:
            frozen.append(True)
            os.kill(os.getpid(), signal.SIGSTOP)
        return result

    frozen: list[bool] = []
    return wrapped


def _die(point: str) -> None:
    """Be killed, and say in the log where: another end leaves no such line."""
    os.write(2, f"\n{KILLED} {point}\n".encode())
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
