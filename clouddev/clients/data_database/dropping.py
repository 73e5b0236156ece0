"""Drops a workspace's sessions, schemas, everything else of it in this database, and its role.

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
from clouddev.clients.data_database.connecting import repeated
from clouddev.clients.data_database.errors import DataDatabaseBusy, DataDatabaseFailed
from clouddev.clients.data_database.making import join
from config.core.errors import ApplicationError

logger = logging.getLogger(__name__)

# A connection of the admin's to another database of the server.
Elsewhere = Callable[[str], contextlib.AbstractContextManager[psycopg.Connection]]
_PATIENCE_MILLISECONDS = 5000
_ROUNDS = 3
_PAUSE_SECONDS = 0.05
_RELATIONS_AT_ONCE = 200
_DATABASES_AT_ONCE = 5


def drop_workspace(connection: psycopg.Connection, name: str, *, elsewhere: Elsewhere) -> bool:
    """Leave nothing of a workspace; False where its role had to be left, with no login and nothing here.

    Whatever is gone already is skipped. Raises DataDatabaseFailed for what we must not touch, DataDatabaseBusy when
    a session doesn't end, psycopg.Error for the rest.
    """
    if repeated(connection, lambda connection: _lock_out(connection, name)):
        _end_sessions(connection, name)
        while repeated(connection, lambda connection: _drop_some_relations(connection, name)):
            pass
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
    join(connection, admin_of(connection), name)
    return True


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


def _drop_some_relations(connection: psycopg.Connection, name: str) -> bool:
    """Drop some tables and views where there are many; tell whether to go on.

    A transaction holds a lock for each thing it drops, and the server has only so many for everybody.
    """
    rows = connection.execute(
        "SELECT n.nspname, c.relname, c.relkind FROM pg_catalog.pg_class c"
        " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspowner = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = %s) AND c.relowner = n.nspowner"
        " AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d"
        " WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')"
        " ORDER BY c.relispartition DESC, c.oid LIMIT %s",
        [name, _RELATIONS_AT_ONCE + 1],
    ).fetchall()
    if len(rows) <= _RELATIONS_AT_ONCE:
        return False
    words = {"v": "VIEW", "m": "MATERIALIZED VIEW"}
    for schema, relation, kind in rows:
        connection.execute(
            sql.SQL("DROP {} IF EXISTS {} CASCADE").format(
                sql.SQL(words.get(kind, "TABLE")), sql.Identifier(schema, relation)
            )
        )
    return True


def _drop_things(connection: psycopg.Connection, name: str) -> None:
    """Drop all but the role. It is marked as one that is going, since nothing else tells then that it is of here."""
    role = find_role(connection, name)
    schemas = {schema for schema, owner in owners_of_schemas(connection, name).items() if is_of(name, owner)}
    if role is not None:
        schemas |= _schemas_owned_by(connection, name)
    for schema in sorted(schemas):
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
    if role is not None:
        _drop_owned(connection, name)
        mark = LEFT_IN + connection.info.dbname
        connection.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(sql.Identifier(name), sql.Literal(mark)))
        connection.execute(sql.SQL("ALTER ROLE {} NOLOGIN PASSWORD NULL").format(sql.Identifier(name)))


def _drop_role(connection: psycopg.Connection, name: str) -> bool:
    """Drop the role; False while something stands on it elsewhere, or is shared with it again and again."""
    if find_role(connection, name) is None:
        return True
    _drop_owned(connection, name)
    try:
        with connection.transaction():
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
    except psycopg.errors.DependentObjectsStillExist:
        return False
    return True


def _let_go_elsewhere(elsewhere: Elsewhere, database: str, name: str) -> None:
    """Drop in another database what is the role's and what it may; nothing happens where the admin can't."""
    with contextlib.suppress(ApplicationError), elsewhere(database) as connection:
        repeated(connection, lambda connection: _drop_owned(connection, name))


def _schemas_owned_by(connection: psycopg.Connection, name: str) -> set[str]:
    rows = connection.execute(
        "SELECT nspname FROM pg_catalog.pg_namespace WHERE pg_catalog.pg_get_userbyid(nspowner) = %s",
        [name],
    )
    return {schema for (schema,) in rows}


def _drop_owned(connection: psycopg.Connection, name: str) -> None:
    """Drop what the role has outside its schemas, and its rights.

    An extension that it installed for everybody may be in use by others: what can't be dropped without dropping
    theirs becomes the admin's.
    """
    role = sql.Identifier(name)
    try:
        with connection.transaction():
            connection.execute(sql.SQL("DROP OWNED BY {} RESTRICT").format(role))
    except psycopg.errors.DependentObjectsStillExist:
        connection.execute(sql.SQL("REASSIGN OWNED BY {} TO CURRENT_USER").format(role))
        connection.execute(sql.SQL("DROP OWNED BY {} RESTRICT").format(role))
