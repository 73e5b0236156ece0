"""Reading one row by hand, on the routes where the ORM's look-up would be most of the work."""

import threading
from collections.abc import Sequence
from typing import Any

import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, InterfaceError, NotSupportedError, OperationalError, connection, connections

_kept = threading.local()


def fetch_row(statement: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
    """The statement's first row, or None.

    The kept connection may have died with a restarted database. Outside a transaction a read is then
    asked once more over a fresh connection, so that a restart costs a moment rather than an error
    for each thread; so is one whose prepared statement a migration has outdated (NotSupportedError).
    Raises OperationalError when the database stays away.
    """
    try:
        return _fetch(statement, parameters)
    except (OperationalError, InterfaceError, NotSupportedError):
        if connection.in_atomic_block:
            raise
        connection.close()
        return _fetch(statement, parameters)


def _fetch(statement: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
    row: tuple[Any, ...] | None
    # Each use of Django's `connection` looks the thread's own one up anew.
    database = connections[DEFAULT_DB_ALIAS]
    if database.queries_logged or not settings.DATABASE_PREPARED_STATEMENTS:
        with database.cursor() as cursor:
            cursor.execute(statement, parameters)
            row = cursor.fetchone()
            return row
    database.ensure_connection()
    with database.wrap_database_errors:
        # A prepared statement spares PostgreSQL the planning, which costs it more than the answer does.
        row = _kept_cursor(database.connection).execute(statement, parameters, prepare=True).fetchone()
        return row


def _kept_cursor(raw: psycopg.Connection) -> psycopg.Cursor:
    """The thread's cursor on its kept connection; making one costs as much as the query."""
    cursor: psycopg.Cursor | None = getattr(_kept, "cursor", None)
    if cursor is None or cursor.connection is not raw:
        cursor = _kept.cursor = psycopg.Cursor(raw)
        cursor.format = psycopg.pq.Format.BINARY
    return cursor
