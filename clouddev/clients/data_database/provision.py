"""Makes a workspace's role and schemas, or repairs them."""

import logging
import secrets

import psycopg
from psycopg import sql

from clouddev.clients.data_database.catalog import Admin, admin_of, find_role, is_of, owners_of_schemas, schemas_of
from clouddev.clients.data_database.errors import DataDatabaseFailed

logger = logging.getLogger(__name__)

CONNECTION_LIMIT = 20
# A workspace may set these otherwise for itself: they end what was forgotten, and stop nobody who means it.
_DEFAULTS = {"statement_timeout": "5min", "idle_in_transaction_session_timeout": "5min", "lock_timeout": "1min"}
_EXTENSION = "uuid-ossp"
_PASSWORD_BYTES = 32


def make_extension(connection: psycopg.Connection) -> None:
    """Offer `uuid_generate_v4` and its like to everybody in `public`, where the server has and allows them."""
    row = connection.execute(
        "SELECT FROM pg_catalog.pg_available_extensions WHERE name = %s AND installed_version IS NULL"
        " AND pg_catalog.to_regnamespace('public') IS NOT NULL",
        [_EXTENSION],
    ).fetchone()
    if row is None:
        return
    statement = sql.SQL("CREATE EXTENSION IF NOT EXISTS {} WITH SCHEMA public")
    try:
        with connection.transaction():
            connection.execute(statement.format(sql.Identifier(_EXTENSION)))
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFile, psycopg.errors.FeatureNotSupported):
        logger.warning("data database: it offers the extension %s, but doesn't let us have it", _EXTENSION)


def make_workspace(connection: psycopg.Connection, name: str) -> str:
    """Make or repair everything of a workspace in the transaction that is open; return its new password.

    Raises DataDatabaseFailed for what we must not touch, psycopg.Error for the rest.
    """
    admin = admin_of(connection)
    password = _make_role(connection, name)
    join(connection, admin, name)
    _set_defaults(connection, name)
    _make_schemas(connection, name)
    _make_public_usable(connection, name)
    _grant_database(connection, name)  # last: the row that it changes is everybody's
    return password


def join(connection: psycopg.Connection, admin: Admin, name: str) -> None:
    """Make the admin a member of the role, which giving it things, taking them and ending its sessions need.

    Superusers need no membership. https://www.postgresql.org/docs/current/role-membership.html
    """
    if admin.superuser:
        return
    options = " WITH INHERIT TRUE, SET TRUE" if admin.options_of_membership else ""
    connection.execute(sql.SQL("GRANT {} TO CURRENT_USER" + options).format(sql.Identifier(name)))


def _make_role(connection: psycopg.Connection, name: str) -> str:
    role = find_role(connection, name)
    if role is not None and role.raised:
        raise DataDatabaseFailed(f"The role {name} in the data database has rights that it must not have.")
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    # Only what the password is checked by is sent, so that a server that logs statements doesn't log the password.
    verifier = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
    # An existing role has none of the attributes that are denied here, and only superusers may even name them then.
    start = (
        "CREATE ROLE {} NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
        if role is None
        else ("ALTER ROLE {}")
    )
    connection.execute(
        sql.SQL(start + " LOGIN PASSWORD {} CONNECTION LIMIT {} VALID UNTIL 'infinity'").format(
            sql.Identifier(name), sql.Literal(verifier.decode()), sql.Literal(CONNECTION_LIMIT)
        )
    )
    return password


def _set_defaults(connection: psycopg.Connection, name: str) -> None:
    """Find its own schema first and `public` after it, where the extension is."""
    role = sql.Identifier(name)
    connection.execute(sql.SQL("ALTER ROLE {} SET search_path = {}, public").format(role, role))
    for setting, value in _DEFAULTS.items():
        statement = sql.SQL("ALTER ROLE {} SET {} = {}")
        connection.execute(statement.format(role, sql.Identifier(setting), sql.Literal(value)))
    # PostgreSQL lets everybody use new functions and types, and so see their names in information_schema.
    for kind in (sql.SQL("ROUTINES"), sql.SQL("TYPES")):
        statement = sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {} REVOKE ALL ON {} FROM PUBLIC")
        connection.execute(statement.format(role, kind))


def _make_schemas(connection: psycopg.Connection, name: str) -> None:
    owners = owners_of_schemas(connection, name)
    for schema in schemas_of(name):
        owner = owners.get(schema)
        if owner is None:
            statement = sql.SQL("CREATE SCHEMA {} AUTHORIZATION {}")
        elif not is_of(name, owner):
            raise DataDatabaseFailed(f"The schema {schema} in the data database belongs to another workspace.")
        elif owner != name:
            statement = sql.SQL("ALTER SCHEMA {} OWNER TO {}")
        else:
            continue
        connection.execute(statement.format(sql.Identifier(schema), sql.Identifier(name)))


def _make_public_usable(connection: psycopg.Connection, name: str) -> None:
    """See to it that `public` can be used and not written to.

    PostgreSQL 15 makes new databases so; those that were upgraded from older ones let everybody write.
    """
    row = connection.execute("SELECT pg_catalog.to_regnamespace('public') IS NULL").fetchone()
    if row == (True,):
        return
    if _has(connection, "has_schema_privilege", name, "public", "CREATE"):
        connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        if _has(connection, "has_schema_privilege", name, "public", "CREATE"):
            raise DataDatabaseFailed("The schema public of the data database can be written to by everybody.")
    if not _has(connection, "has_schema_privilege", name, "public", "USAGE"):
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(sql.Identifier(name)))


def _grant_database(connection: psycopg.Connection, name: str) -> None:
    """Let the role connect and make schemas (DBOS says CREATE SCHEMA IF NOT EXISTS, which asks for that first)."""
    database = connection.info.dbname
    connection.execute(
        sql.SQL("GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {} TO {}").format(
            sql.Identifier(database), sql.Identifier(name)
        )
    )
    # Somebody who doesn't own the database is only warned.
    if not _has(connection, "has_database_privilege", name, database, "CREATE"):
        raise DataDatabaseFailed("The admin of the data database doesn't own it and so can't share it.")


def _has(connection: psycopg.Connection, function: str, role: str, thing: str, right: str) -> bool:
    statement = sql.SQL("SELECT pg_catalog.{}(%s::pg_catalog.name, %s::text, %s)").format(sql.Identifier(function))
    row = connection.execute(statement, [role, thing, right]).fetchone()
    return row is not None and bool(row[0])
