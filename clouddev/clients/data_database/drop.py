"""Drops a workspace's sessions, its database or schemas, everything else of it on this server, and its role.

PostgreSQL keeps a role as long as it is named anywhere on the server, and any workspace can see to that: where
PUBLIC may connect to another database, it can make a thing there and share it with the role.
"""

import contextlib
import logging
import time
from collections.abc import Callable

import psycopg
from psycopg import sql

from clouddev.clients.data_database.catalog import (
    LEFT_IN,
    admin_of,
    databases_holding,
    find_role,
    is_of,
    owners_of_schemas,
)
from clouddev.clients.data_database.connection import repeated
from clouddev.clients.data_database.databases import drop_database
from clouddev.clients.data_database.errors import DataDatabaseBusy, DataDatabaseFailed
from clouddev.clients.data_database.owned_objects import drop_last, drop_possessions
from clouddev.clients.data_database.provision import join
from core.errors import ApplicationError

logger = logging.getLogger(__name__)

# A connection of the admin's to another database of the server.
Elsewhere = Callable[[str], contextlib.AbstractContextManager[psycopg.Connection]]
_PATIENCE_MILLISECONDS = 5000
_ROUNDS = 3
_PAUSE_SECONDS = 0.05
_DATABASES_AT_ONCE = 5


def drop_workspace(connection: psycopg.Connection, name: str, *, elsewhere: Elsewhere) -> bool:
    """Leave nothing of a workspace; False where its role had to be left, with no login and nothing here.

    Whatever is gone already is skipped. Raises DataDatabaseFailed for what we must not touch, DataDatabaseBusy when
    a session doesn't end, psycopg.Error for the rest.
    """
    there = repeated(connection, lambda connection: _lock_out(connection, name))
    if there:
        _end_sessions(connection, name)
    _undo_prepared(connection, name, elsewhere=elsewhere)
    repeated(connection, lambda connection: drop_database(connection, name), in_transaction=False)
    if there:
        drop_possessions(connection, name)
    # To be committed whatever becomes of the role.
    repeated(connection, lambda connection: _drop_things(connection, name))
    for _ in range(_ROUNDS):
        if repeated(connection, lambda connection: _drop_role(connection, name)):
            return True
        for database in databases_holding(connection, name)[:_DATABASES_AT_ONCE]:
            _let_go_elsewhere(elsewhere, database, name)
    databases = ", ".join(databases_holding(connection, name)) or "what this server's other roles may"
    logger.error("data database: the role %s is left without a login, as it is named in %s", name, databases)
    return False


def _lock_out(connection: psycopg.Connection, name: str) -> bool:
    """Refuse new sessions; tell whether there is a role at all.

    To be committed before sessions are ended, or a client that connects again at once would be in again.
    """
    role = find_role(connection, name)
    if role is None:
        return False
    if role.raised:
        raise DataDatabaseFailed(f"The role {name} in the data database has rights that it must not have.")
    connection.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(sql.Identifier(name)))
    _mark(connection, name)
    join(connection, admin_of(connection), name)
    return True


def _mark(connection: psycopg.Connection, name: str) -> None:
    """Mark the role as one that is going. Once its things are gone nothing else tells that it is of here."""
    mark = LEFT_IN + connection.info.dbname
    connection.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(sql.Identifier(name), sql.Literal(mark)))


def _end_sessions(connection: psycopg.Connection, name: str) -> None:
    for _ in range(_ROUNDS):
        connection.execute(
            "SELECT pg_catalog.pg_terminate_backend(pid, %s) FROM pg_catalog.pg_stat_activity"
            " WHERE usename = %s AND pid <> pg_catalog.pg_backend_pid()",
            [_PATIENCE_MILLISECONDS, name],
        )
        if not _has_sessions(connection, name):
            return
        time.sleep(_PAUSE_SECONDS)
    raise DataDatabaseBusy(retry_after=1)


def _has_sessions(connection: psycopg.Connection, name: str) -> bool:
    row = connection.execute(
        "SELECT FROM pg_catalog.pg_stat_activity WHERE usename = %s AND pid <> pg_catalog.pg_backend_pid() LIMIT 1",
        [name],
    ).fetchone()
    return row is not None


def _undo_prepared(connection: psycopg.Connection, name: str, *, elsewhere: Elsewhere) -> None:
    """Roll back what the role has prepared, or anybody in its database, and not committed.

    Such transactions outlive their sessions, hold their locks for ever, and no database is dropped while it has one.
    Nobody but a superuser and the role itself may end them.
    """
    rows = connection.execute(
        "SELECT gid, database, owner FROM pg_catalog.pg_prepared_xacts WHERE owner = %(name)s OR database = %(name)s",
        {"name": name},
    ).fetchall()
    for identifier, database, owner in rows:
        is_here = database == connection.info.dbname
        with contextlib.nullcontext(connection) if is_here else elsewhere(database) as there:
            there.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(owner)))
            try:
                there.execute(sql.SQL("ROLLBACK PREPARED {}").format(sql.Literal(identifier)))
            except psycopg.errors.UndefinedObject:
                continue  # another call was quicker
            finally:
                there.execute("RESET ROLE")


def _drop_things(connection: psycopg.Connection, name: str) -> None:
    """Drop all but the role."""
    for schema, owner in sorted(owners_of_schemas(connection, name).items()):
        if is_of(name, owner):
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
    if find_role(connection, name) is not None:
        drop_last(connection, name)
        _mark(connection, name)
        connection.execute(sql.SQL("ALTER ROLE {} NOLOGIN PASSWORD NULL").format(sql.Identifier(name)))


def _drop_role(connection: psycopg.Connection, name: str) -> bool:
    """Drop the role; False while something stands on it elsewhere, or is shared with it again and again."""
    if find_role(connection, name) is None:
        return True
    drop_last(connection, name)
    try:
        with connection.transaction():
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
    except psycopg.errors.DependentObjectsStillExist:
        return False
    return True


def _let_go_elsewhere(elsewhere: Elsewhere, database: str, name: str) -> None:
    """Drop in another database what is the role's and what it may; nothing happens where the admin can't."""
    with contextlib.suppress(ApplicationError), elsewhere(database) as connection:
        drop_possessions(connection, name)
        repeated(connection, lambda connection: drop_last(connection, name))
