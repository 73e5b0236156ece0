"""Reading one row by hand, on the routes where the ORM's look-up would be most of the work."""

from collections.abc import Sequence
from typing import Any

from django.db import InterfaceError, OperationalError, connection


def fetch_row(statement: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
    """The statement's first row, or None.

    The kept connection may have died with a restarted database. Outside a transaction a read is then
    asked once more over a fresh connection, so that a restart costs a moment rather than an error
    for each thread. Raises OperationalError when the database stays away.
    """
    try:
        return _fetch(statement, parameters)
    except (OperationalError, InterfaceError):
        if connection.in_atomic_block:
            raise
        connection.close()
        return _fetch(statement, parameters)


def _fetch(statement: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row
