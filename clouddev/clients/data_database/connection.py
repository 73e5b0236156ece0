"""A connection to the data database that can't hang, can't be tricked, and fails with a type."""

import contextlib
import logging
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict

from clouddev.clients.data_database.errors import (
    DataDatabaseMissing,
    DataDatabaseTimeout,
    failure_of,
    is_crossed,
)

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

_CONNECT_SECONDS = 5
_ATTEMPTS = 12
_LONGEST_PAUSE_SECONDS = 0.2
# A server that vanished is noticed (https://www.postgresql.org/docs/current/libpq-connect.html).
_NOTICING = {
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "application_name": "crayon-server",
}
# A workspace may make a schema called like the admin. Were that on the admin's search path, it could plant
# functions there that the admin would run (CVE-2018-1058).
_SESSION = (
    "SELECT pg_catalog.set_config('search_path', 'pg_catalog', false),"
    " pg_catalog.set_config('lock_timeout', '5s', false),"
    " pg_catalog.set_config('idle_in_transaction_session_timeout', '30s', false),"
    " pg_catalog.set_config('statement_timeout', %s, false)"
)


def read_url(url: str) -> dict[str, Any]:
    """The parts of an admin connection's URL. Raises DataDatabaseMissing; the URL is in no message."""
    if not url:
        raise DataDatabaseMissing
    problem = "This server's data database has no usable address: DATABASE_DATA_URL can't be read."
    try:
        parts = {key: value for key, value in conninfo_to_dict(url).items() if value is not None}
    except psycopg.Error:
        # libpq quotes what it can't read, password and all.
        raise DataDatabaseMissing(problem) from None
    host = str(parts.get("host", ""))
    if not host or not parts.get("user") or "," in host or host.startswith("/"):  # machines need one host to call
        raise DataDatabaseMissing(problem)
    return parts


@contextlib.contextmanager
def connected(
    parts: dict[str, Any], *, doing: str, seconds: int, patience: int = _CONNECT_SECONDS
) -> Iterator[psycopg.Connection]:
    """A connection in autocommit mode, made within `patience`, that is hung up after so many seconds for certain.

    Raises DataDatabaseFailed, DataDatabaseBusy or DataDatabaseTimeout; `doing` is for the log.
    """
    late = threading.Event()
    try:
        parts = {**parts, **_NOTICING, "connect_timeout": patience}
        with psycopg.connect(**parts, autocommit=True, prepare_threshold=None) as connection:
            timer = threading.Timer(seconds, _hang_up, [connection, late])
            timer.daemon = True
            timer.start()
            try:
                connection.execute(_SESSION, [f"{seconds}s"])
                yield connection
            finally:
                timer.cancel()
    except psycopg.Error as error:
        # The message of a psycopg error may quote a statement; its class and state say enough.
        logger.warning("data database: %s failed: %s %s", doing, type(error).__name__, error.sqlstate or "")
        raise (DataDatabaseTimeout() if late.is_set() else failure_of(error)) from error


def repeated(
    connection: psycopg.Connection, work: Callable[[psycopg.Connection], Result], *, in_transaction: bool = True
) -> Result:
    """Run `work` in a transaction (making and dropping databases allows of none), and again when another crossed it.

    Rights on the database are kept in one row, and PostgreSQL answers the second of two who change it at once
    with "tuple concurrently updated" instead of letting it wait. No advisory lock: workspaces could hold it.
    """
    for attempt in range(_ATTEMPTS):
        try:
            with connection.transaction() if in_transaction else contextlib.nullcontext():
                return work(connection)
        except psycopg.Error as error:
            if not is_crossed(error) or connection.broken or attempt == _ATTEMPTS - 1:
                raise
            time.sleep(random.uniform(0, _LONGEST_PAUSE_SECONDS))  # noqa: S311 - spreads them, hides nothing
    raise AssertionError  # pragma: no cover - the last attempt returns or raises


def _hang_up(connection: psycopg.Connection, late: threading.Event) -> None:
    late.set()
    with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
