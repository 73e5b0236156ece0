"""Doing one thing many times at the same moment, each on a database connection of its own."""

from collections.abc import Callable
from threading import Barrier, Thread
from typing import TypeVar

from django.db import connection

Result = TypeVar("Result")


def at_once(*actions: Callable[[], Result]) -> list[Result]:
    """What each action gave, in their order. An action's exception is raised here."""
    barrier = Barrier(len(actions))
    results: dict[int, Result] = {}
    problems: list[BaseException] = []

    def act(number: int, action: Callable[[], Result]) -> None:
        try:
            barrier.wait(timeout=20)
            results[number] = action()
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            problems.append(error)
        finally:
            connection.close()

    threads = [Thread(target=act, args=(number, action)) for number, action in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    if problems:
        raise problems[0]
    return [results[number] for number in range(len(actions))]
