"""Reading one row by hand, on the routes where the ORM's look-up would be most of the work."""

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

_cursors: WeakKeyDictionary[psycopg.Connection, psycopg.Cursor] = WeakKeyDictionary()


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
    row: tuple[Any, ...] | None
    if connection.queries_logged or not settings.DATABASE_PREPARED_STATEMENTS:
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            row = cursor.fetchone()
            return row
    connection.ensure_connection()
    with connection.wrap_database_errors:
        # A prepared statement spares PostgreSQL the planning, which costs it more than the answer does.
        row = _kept_cursor(connection.connection).execute(statement, parameters, prepare=True).fetchone()
        return row


def _kept_cursor(raw: psycopg.Connection) -> psycopg.Cursor:
    """One cursor for the connection's life; making one costs as much as the query. A thread has its own."""
    cursor = _cursors.get(raw)
    if cursor is None:
        cursor = _cursors[raw] = psycopg.Cursor(raw)
        cursor.format = psycopg.pq.Format.BINARY
    return cursor
