"""The connections that threads keep: noticing that one has died, outlasting a restart, and reading one row by hand.

By hand where the ORM's look-up would be most of the work.
"""

import logging
import select
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from django.conf import settings
from django.db import (
    DEFAULT_DB_ALIAS,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    connection,
    connections,
    transaction,
)
from django.db.models import QuerySet

logger = logging.getLogger(__name__)

# What is raised when the database goes away; the last by one that ended a transaction that was idle for too long.
DATABASE_AWAY = (OperationalError, InterfaceError, InternalError)
_PAUSE_SECONDS = 0.5
_kept = threading.local()
Result = TypeVar("Result")
_DELETED_AT_ONCE = 5000


@contextmanager
def undone() -> Iterator[None]:
    """Takes back what is written to the database in it.

    For HEAD where GET makes something (a token, an audit row): the answer is GET's, and as nothing is handed out,
    nothing stays. What limits count does, or asking by HEAD would be guessing without limit.
    """
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def outlast_restarts(work: Callable[[], Result], *, seconds: float = 60.0) -> Result:
    """The result of what can be done twice; begun anew, for so long at most, where the database goes away meanwhile.

    For workers, whom nobody waits for. Within a transaction, which is lost with its connection, it raises at once.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            return work()
        except DATABASE_AWAY as error:
            if connection.in_atomic_block or time.monotonic() > until:
                raise
            logger.warning("the database went away, trying again: %s", type(error).__name__)
            connection.close()
            time.sleep(_PAUSE_SECONDS)


def drop_dead_connection() -> None:
    """Drop the thread's kept connection when the other end has closed it, so that the next query opens another.

    Costs no query: PostgreSQL says nothing to those who ask nothing, so what can be read now is the end (or a change
    of its settings, for which a new connection is as good).
    """
    database = connections[DEFAULT_DB_ALIAS]
    raw = database.connection
    if raw is None or database.in_atomic_block:
        return
    if raw.closed or _can_be_read(raw.pgconn.socket):
        database.close()


def require_live_connections() -> None:
    """Do the same by a query on each connection, which also notices an end that vanished without closing."""
    for database in connections.all(initialized_only=True):
        if database.connection is not None and not database.in_atomic_block and not database.is_usable():
            database.close()


def _can_be_read(descriptor: int) -> bool:
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(0))


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


def delete_in_batches(rows: QuerySet[Any]) -> int:
    """Delete the rows, each few thousand in a statement of their own; says how many went."""
    count = 0
    while keys := list(rows.order_by().values_list("pk", flat=True)[:_DELETED_AT_ONCE]):
        # What has changed since it was looked up may be none of them any more.
        count += rows.filter(pk__in=keys).delete()[0]
    return count
