"""Finding what belongs to the data database's admin though a workspace may have written it."""

import io
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import settings as settings_in_force
from django.core.management import CommandError, call_command

from clouddev.checks import data_database_is_in_order
from clouddev.clients.data_database import DataDatabase, Provisioned
from tests.clouddev.data_databases import data_database, new_name, query, run, superuser_url


@pytest.fixture
def url(settings: Any) -> Iterator[str]:
    with data_database() as url:
        settings.DATABASE_DATA_URL = url
        yield url


@pytest.fixture
def alice(url: str) -> Provisioned:
    """A workspace, beside another one that has gone."""
    database, gone = DataDatabase(url=url), new_name()
    database.provision(gone)
    database.drop(gone)
    return database.provision(new_name())


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """The tests' own database is on the same server."""
    own = settings_in_force.DATABASES["default"]["NAME"]
    run(superuser_url(), f'REVOKE CONNECT ON DATABASE "{own}" FROM PUBLIC')
    yield
    run(superuser_url(), f'GRANT CONNECT ON DATABASE "{own}" TO PUBLIC')


def look() -> str:
    """What the command prints, with its complaint as the last line."""
    out = io.StringIO()
    try:
        call_command("check_data_database", stdout=out)
    except CommandError as error:
        out.write(f"{error}")
    return out.getvalue()


# What a version before gave the admin, where it lies, and what removes it.
STRAYS = {
    "function": (
        "CREATE FUNCTION {they}.rise() RETURNS int SECURITY DEFINER LANGUAGE sql AS 'SELECT 1'",
        "DROP ROUTINE {they}.rise() CASCADE;",
    ),
    "view": ("CREATE VIEW {they}.v AS SELECT 1", "DROP VIEW {they}.v CASCADE;"),
    "table": ('CREATE TABLE {they}."T t" (id int GENERATED ALWAYS AS IDENTITY)', 'DROP TABLE {they}."T t" CASCADE;'),
    "operator": (
        "CREATE OPERATOR {they}.@@@ (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl)",
        "DROP OPERATOR {they}.@@@(integer,integer) CASCADE;",
    ),
    "schema": ("CREATE SCHEMA auth", "DROP SCHEMA auth CASCADE;"),
    "large object": ("SELECT lo_create(4711)", "SELECT lo_unlink(4711);"),
}


@pytest.mark.parametrize("kind", STRAYS)
def test_it_finds_what_the_admin_was_given_and_says_how_to_remove_it(url: str, alice: Provisioned, kind: str) -> None:
    made, removal = (text.format(they=alice.schema) for text in STRAYS[kind])
    run(url, f"GRANT {alice.schema} TO CURRENT_USER", made)

    [message] = data_database_is_in_order(None)

    assert (message.id, removal in (message.hint or "")) == ("crayon.E044", True)
    assert f"with the rights of {urlsplit(url).username} that a workspace may have written: the {kind} " in message.msg
    printed = look()
    assert removal in printed
    assert "1 found." in printed
    run(superuser_url(urlsplit(url).path[1:]), removal)
    assert data_database_is_in_order(None) == []
    assert look() == "Nothing found.\n"


def test_what_belongs_to_a_workspace_or_came_with_extensions_is_in_order(url: str, alice: Provisioned) -> None:
    run(alice.url, "CREATE TABLE t (id serial PRIMARY KEY)", "CREATE VIEW v AS SELECT * FROM t", "CREATE SCHEMA auth")
    run(alice.url, "CREATE FUNCTION f() RETURNS int SECURITY DEFINER LANGUAGE sql AS 'SELECT 1'", "SELECT lo_create(0)")
    run(superuser_url(urlsplit(url).path[1:]), "CREATE SCHEMA monitoring", "CREATE VIEW monitoring.v AS SELECT 1")
    assert data_database_is_in_order(None) == []
    assert look() == "Nothing found.\n"


def test_it_finds_what_was_added_to_an_extension(url: str, alice: Provisioned) -> None:
    if not query(url, "SELECT FROM pg_available_extension_versions WHERE trusted AND name = 'citext'"):
        pytest.skip("This server has no extension that workspaces may install.")
    run(
        url,
        "CREATE EXTENSION citext SCHEMA public",
        f"GRANT {alice.schema} TO CURRENT_USER",
        f"CREATE FUNCTION {alice.schema}.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        f"ALTER EXTENSION citext ADD FUNCTION {alice.schema}.f()",
    )
    removal = f"ALTER EXTENSION citext DROP ROUTINE {alice.schema}.f(); DROP ROUTINE {alice.schema}.f() CASCADE;"
    assert removal in look()
    run(url, removal)
    assert look() == "Nothing found.\n"


def test_it_finds_what_another_role_owns_in_a_workspaces_schema(url: str, alice: Provisioned) -> None:
    superuser = superuser_url(urlsplit(url).path[1:])
    run(superuser, f"CREATE FUNCTION {alice.schema}.f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    assert f"DROP ROUTINE {alice.schema}.f() CASCADE;" in look()
    run(superuser, f"DROP ROUTINE {alice.schema}.f() CASCADE")


def test_it_finds_functions_with_the_admins_rights_in_other_databases(url: str, alice: Provisioned) -> None:
    other = f"other_{alice.schema[-8:]}"
    there = superuser_url(other)
    run(superuser_url(), f"CREATE DATABASE {other}")
    try:
        admin = urlsplit(url).username
        run(there, "CREATE TABLE of_the_admin ()", f"ALTER TABLE of_the_admin OWNER TO {admin}")
        assert look() == "Nothing found.\n"
        run(there, "CREATE FUNCTION rise() RETURNS int SECURITY DEFINER LANGUAGE sql AS 'SELECT 1'")
        run(there, f"ALTER FUNCTION rise() OWNER TO {admin}")
        assert f"function public.rise() in the database {other}, which belongs to {admin}" in look()
    finally:
        run(superuser_url(), f"DROP DATABASE {other} WITH (FORCE)")


def test_it_does_not_wait_for_a_data_database_that_is_away(settings: Any) -> None:
    settings.DATABASE_DATA_URL = "postgresql://admin:not-a-secret@127.0.0.1:9/data"
    began = time.monotonic()
    [message] = data_database_is_in_order(None)
    assert (message.id, message.msg) == (
        "crayon.I041",
        "The data database was not looked at: The data database can't be used right now. Please try again in a moment.",
    )
    assert look() == "The data database can't be used right now. Please try again in a moment."
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("url", ["", "not-a-secret"])
def test_without_a_data_database_there_is_nothing_to_check(settings: Any, url: str) -> None:
    settings.DATABASE_DATA_URL = url
    assert data_database_is_in_order(None) == []


@pytest.mark.django_db
def test_e045_machines_may_not_connect_to_the_servers_own_database(url: str, alice: Provisioned) -> None:
    own = settings_in_force.DATABASES["default"]["NAME"]
    there = urlsplit(alice.url)._replace(path=f"/{own}").geturl()
    assert data_database_is_in_order(None) == []
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        query(there, "SELECT 1")
    run(superuser_url(), f'GRANT CONNECT ON DATABASE "{own}" TO PUBLIC')
    [message] = data_database_is_in_order(None)
    assert message.id == "crayon.E045"
    assert f'REVOKE CONNECT, TEMPORARY ON DATABASE "{own}" FROM PUBLIC;' in (message.hint or "")
    assert query(there, "SELECT 1") == [(1,)]


@pytest.mark.parametrize(("more", "expected"), [("NOCREATEDB", ["crayon.E046"]), ("CREATEDB", [])])
def test_e046_an_admin_that_must_make_databases_may(settings: Any, more: str, expected: list[str]) -> None:
    settings.DATABASE_DATA_ISOLATION = "database"
    with data_database(more=more) as settings.DATABASE_DATA_URL:
        assert [message.id for message in data_database_is_in_order(None)] == expected
