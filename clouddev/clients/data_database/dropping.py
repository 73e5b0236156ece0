"""Drops a workspace's sessions, schemas, everything else of it in this database, and its role."""

import time

import psycopg
from psycopg import sql

from clouddev.clients.data_database.catalog import admin_of, find_role, is_of, owners_of_schemas
from clouddev.clients.data_database.connecting import repeated
from clouddev.clients.data_database.errors import DataDatabaseBusy, DataDatabaseFailed
from clouddev.clients.data_database.making import join

_PATIENCE_MILLISECONDS = 5000
_ROUNDS = 3
_PAUSE_SECONDS = 0.05
_RELATIONS_AT_ONCE = 200


def drop_workspace(connection: psycopg.Connection, name: str) -> None:
    """Leave nothing of a workspace. Whatever is gone already is skipped.

    Raises DataDatabaseFailed for what we must not touch, DataDatabaseBusy when a session doesn't end, psycopg.Error
    for the rest.
    """
    if repeated(connection, lambda connection: _lock_out(connection, name)):
        _end_sessions(connection, name)
        while repeated(connection, lambda connection: _drop_some_relations(connection, name)):
            pass
    repeated(connection, lambda connection: _drop_all(connection, name))


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


def _drop_all(connection: psycopg.Connection, name: str) -> None:
    role = find_role(connection, name)
    schemas = {schema for schema, owner in owners_of_schemas(connection, name).items() if is_of(name, owner)}
    if role is not None:
        schemas |= _schemas_owned_by(connection, name)
    for schema in sorted(schemas):
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
    if role is not None:
        _drop_owned(connection, name)
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


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
