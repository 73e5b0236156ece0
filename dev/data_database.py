"""The data database of `make dev`: one in the embedded cluster, beside which each machine gets one of its own.

Its admin is no superuser, as on hosted servers, and owns that database and the machines' alone. Their roles may connect
to no other database of the cluster, least of all to the server's.
"""

import secrets
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from dev.state import write_private

_NAME = "crayon_data"
_ADMIN = "crayon_data_admin"


def ensure(state: Path, *, server_url: str) -> str:
    """Return its address, making it and its admin when they are not there. `server_url` is a superuser's."""
    password = _password(state)
    admin = sql.Identifier(_ADMIN)
    with psycopg.connect(server_url, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [_ADMIN]).fetchone() is None:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEROLE").format(admin))
        connection.execute(sql.SQL("ALTER ROLE {} CREATEDB PASSWORD {}").format(admin, sql.Literal(password)))
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_NAME]).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(_NAME), admin))
        for (database,) in connection.execute("SELECT datname FROM pg_database WHERE datallowconn").fetchall():
            if not database.startswith("crayon_dev_"):  # those have their rights from whoever made them
                statement = sql.SQL("REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC")
                connection.execute(statement.format(sql.Identifier(database)))
    parts = urlsplit(server_url)
    return f"postgres://{_ADMIN}:{password}@{parts.hostname}:{parts.port}/{_NAME}"


def _password(state: Path) -> str:
    file = state / "data-database-password"
    if not file.exists():
        write_private(file, secrets.token_urlsafe(24) + "\n")
    return file.read_text(encoding="utf-8").strip()
