"""The data database on every version of PostgreSQL that this machine has: workspaces are made, kept apart, dropped."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from clouddev.clients.data_database import DataDatabase, DataDatabaseFailed, Provisioned
from dev.postgres import EmbeddedPostgres, available
from tests.clouddev.data_databases import data_database, fill, new_name, query, run, superuser_url

VERSIONS = sorted({major for major, _ in available()})
DENIED = psycopg.errors.InsufficientPrivilege
FIRST_WITH_OPTIONS_OF_MEMBERSHIP = 16


@pytest.fixture(scope="module", params=VERSIONS)
def major(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def server(major: int) -> Iterator[str]:
    """A superuser's address of a server of that version."""
    with tempfile.TemporaryDirectory() as above:
        Path(above).chmod(0o711)
        with EmbeddedPostgres(state=Path(above) / "state", fsync=False, major=major) as running:
            yield running.url


@pytest.fixture
def database(server: str) -> Iterator[DataDatabase]:
    with data_database(server) as url:
        yield DataDatabase(url=url)


def test_a_workspace_is_made_and_made_again_with_another_password(database: DataDatabase, major: int) -> None:
    first = database.provision(new_name())
    fill(first)
    again = database.provision(first.schema)

    assert query(again.url, "SELECT current_setting('server_version_num')::int / 10000, secret_plan FROM plans") == [
        (major, "buy a boat")
    ]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        query(first.url, "SELECT 1")
    assert database.list_names() == [first.schema]


def test_an_admin_that_inherits_nothing_drops_where_a_membership_can_say_otherwise(server: str, major: int) -> None:
    with data_database(server) as url:
        admin, as_superuser = urlsplit(url).username, superuser_url(server=server)
        run(as_superuser, f"ALTER ROLE {admin} NOINHERIT")
        database, name = DataDatabase(url=url), new_name()
        fill(database.provision(name))
        if major < FIRST_WITH_OPTIONS_OF_MEMBERSHIP:
            with pytest.raises(DataDatabaseFailed):
                database.drop(name)
            run(as_superuser, f"ALTER ROLE {admin} INHERIT")
        assert database.drop(name) is True
        assert database.list_names() == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM {they}.plans",
        "SELECT {they}.answer()",
        "CREATE TABLE {they}.mine ()",
        "DROP SCHEMA {they} CASCADE",
        "SET ROLE {they}",
        "GRANT {they} TO {me}",
        "CREATE ROLE mine",
        "CREATE TABLE public.mine ()",
    ],
)
def test_a_workspace_has_no_way_into_another(neighbours: tuple[Provisioned, Provisioned], statement: str) -> None:
    ours, theirs = neighbours
    with pytest.raises(DENIED):
        run(ours.url, statement.format(me=ours.schema, they=theirs.schema))


@pytest.fixture(scope="module")
def neighbours(server: str) -> Iterator[tuple[Provisioned, Provisioned]]:
    """Two workspaces; there is something to be had in the second."""
    with data_database(server) as url:
        database = DataDatabase(url=url)
        ours, theirs = database.provision(new_name()), database.provision(new_name())
        fill(theirs)
        yield ours, theirs


def test_a_workspace_is_dropped_with_its_sessions_and_the_other_one_stays(database: DataDatabase, server: str) -> None:
    ours, theirs = database.provision(new_name()), database.provision(new_name())
    fill(ours)
    fill(theirs)
    run(ours.url, "CREATE SCHEMA drizzle", "CREATE TABLE drizzle.kept ()")
    with psycopg.connect(ours.url) as session:
        session.execute("LOCK TABLE plans")
        assert database.drop(ours.schema) is True
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")

    assert query(superuser_url(server=server), f"SELECT FROM pg_roles WHERE rolname = '{ours.schema}'") == []
    assert query(theirs.url, "SELECT secret_plan FROM plans") == [("buy a boat",)]
    schemas = query(theirs.url, "SELECT nspname::text FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1")
    assert schemas == sorted([(theirs.schema,), (f"{theirs.schema}_dbos",), ("information_schema",), ("public",)])
    assert database.list_names() == [theirs.schema]
