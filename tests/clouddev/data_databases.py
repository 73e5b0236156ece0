"""Data databases for tests, on any PostgreSQL: as hosted ones are, with an admin that is no superuser."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from clouddev.clients.data_database import DataDatabase, Provisioned


def superuser_url(database: str = "postgres", *, server: str = "") -> str:
    """A superuser's address of a database; `server` is their address of any other, by default the tests' own."""
    parts = urlsplit(server or os.environ["DATABASE_URL"])
    return parts._replace(path=f"/{database}").geturl()


@contextmanager
def data_database(server: str = "", *, more: str = "") -> Iterator[str]:
    """The URL of an admin with CREATEROLE and a database of its own; both are gone afterwards.

    `server` is a superuser's address, by default that of the tests' own; `more`: what else the admin may, `CREATEDB`.
    """
    name, password = f"data_{secrets.token_hex(4)}", secrets.token_urlsafe(12)
    admin = sql.Identifier(name)
    with psycopg.connect(superuser_url(server=server), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEROLE PASSWORD {}").format(admin, sql.Literal(password)))
        connection.execute(f"ALTER ROLE {name} {more}".encode())
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(admin, admin))
    address = urlsplit(superuser_url(name, server=server))
    url = address._replace(
        netloc=f"{name}:{password}@{address.hostname}:{address.port}", query="sslmode=disable"
    ).geturl()
    try:
        yield url
    finally:
        database = DataDatabase(url=url)
        for workspace in database.list_names():
            database.drop(workspace)
        with psycopg.connect(superuser_url(server=server), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(admin))
            connection.execute(sql.SQL("DROP ROLE {}").format(admin))


def new_name() -> str:
    return f"crayon_dev_{secrets.token_hex(4)}"


def fill(workspace: Provisioned) -> None:
    """Put a table with a row, and a function, into a workspace."""
    with psycopg.connect(workspace.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE plans (secret_plan text)")
        connection.execute("INSERT INTO plans VALUES ('buy a boat')")
        connection.execute("CREATE FUNCTION answer() RETURNS int LANGUAGE sql AS 'SELECT 42'")


def run(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def query(url: str, statement: str) -> Any:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()
