"""A database of its own for each workspace: made, found and dropped.

Workspaces in one database hear each other's NOTIFY, share advisory locks and the catalog, and may take names and
extensions that another one wants. In databases of their own they do not.
"""

from dataclasses import dataclass

import psycopg
from psycopg import sql

from clouddev.clients.data_database.catalog import is_of, owners_of_schemas
from clouddev.clients.data_database.errors import DataDatabaseFailed

# What DROP DATABASE leaves in pg_database when it is cut off half-way: only another one helps then.
_INVALID = -2


@dataclass(frozen=True, slots=True)
class Found:
    """A database that exists. `ours`: the admin may do what its owner may. `broken`: its dropping was cut off."""

    ours: bool
    broken: bool


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the admin may, and what else workspaces can reach on its server, which the identifier names."""

    may_make_databases: bool
    open_to_everybody: list[str]
    system_identifier: int


def surroundings_of(connection: psycopg.Connection) -> Surroundings:
    """Those of the connection."""
    rows = connection.execute(
        "SELECT datname FROM pg_catalog.pg_database"
        " WHERE datallowconn AND pg_catalog.has_database_privilege('public', oid, 'CONNECT') ORDER BY datname"
    ).fetchall()
    [identifier] = connection.execute("SELECT system_identifier FROM pg_catalog.pg_control_system()").fetchone() or (0,)
    return Surroundings(may_make_databases(connection), [name for (name,) in rows], identifier)


def find_database(connection: psycopg.Connection, name: str) -> Found | None:
    """The database of that name, if the server has one."""
    row = connection.execute(
        "SELECT pg_catalog.pg_has_role(datdba, 'USAGE') AND pg_catalog.pg_get_userbyid(datdba) <> datname,"
        " datconnlimit = %s FROM pg_catalog.pg_database WHERE datname = %s",
        [_INVALID, name],
    ).fetchone()
    return None if row is None else Found(ours=row[0], broken=row[1])


def wants_database(connection: psycopg.Connection, name: str, *, isolation: str) -> bool:
    """Whether a workspace has, or shall have, a database of its own; it stays where an earlier attempt made it.

    isolation: `database`, `schema`, or `auto`, which is `database` where the admin may make some.
    Raises DataDatabaseFailed where it must and can't.
    """
    if find_database(connection, name) is not None:
        return True
    if any(is_of(name, owner) for owner in owners_of_schemas(connection, name).values()) or isolation == "schema":
        return False
    if may_make_databases(connection):
        return True
    if isolation == "database":
        raise DataDatabaseFailed(
            "The admin of the data database may not make databases, as this server's settings ask."
        )
    return False


def may_make_databases(connection: psycopg.Connection) -> bool:
    """Whether the admin may."""
    row = connection.execute(
        "SELECT rolcreatedb OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = CURRENT_USER"
    ).fetchone()
    return row == (True,)


def make_database(connection: psycopg.Connection, name: str) -> None:
    """Make a workspace's database, or finish that. Nobody but the admin may connect to it yet.

    It can't be connected to before PUBLIC has lost the right. It is a copy of `template0`: in `template1` others may
    have left something, and whoever is connected to that keeps it from being copied.
    """
    found = find_database(connection, name)
    if found is not None and found.broken:
        drop_database(connection, name)
        found = None
    _refuse_anothers(name, found)
    database = sql.Identifier(name)
    if found is None:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0 ALLOW_CONNECTIONS false").format(database))
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(database))


def drop_database(connection: psycopg.Connection, name: str) -> None:
    """Drop a workspace's database with all sessions in it; nothing happens when there is none.

    Raises DataDatabaseFailed when it is not the admin's.
    """
    found = find_database(connection, name)
    if found is None:
        return
    _refuse_anothers(name, found)
    drop = sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name))
    try:
        connection.execute(drop + sql.SQL(" WITH (FORCE)"))
    except psycopg.errors.InsufficientPrivilege:
        # An autovacuum worker is a superuser's process, which the admin may not end. Without FORCE PostgreSQL ends it.
        connection.execute(drop)


def _refuse_anothers(name: str, found: Found | None) -> None:
    if found is not None and not found.ours:
        raise DataDatabaseFailed(f"The database {name} belongs to another role than the admin of the data database.")
