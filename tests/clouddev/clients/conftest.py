"""A data database for each test worker, and two workspaces in it."""

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import psycopg
import pytest

from clouddev.clients.data_database import DataDatabase, Provisioned
from tests.clouddev.data_databases import data_database, fill, new_name, superuser_url


@pytest.fixture(scope="session")
def data_url() -> Iterator[str]:
    with data_database() as url:
        yield url


@pytest.fixture
def database(data_url: str) -> Iterator[DataDatabase]:
    database = DataDatabase(url=data_url)
    yield database
    for name in database.list_names():
        database.drop(name)


@pytest.fixture
def ours(database: DataDatabase) -> Provisioned:
    return database.provision(new_name())


@pytest.fixture
def theirs(database: DataDatabase) -> Provisioned:
    """Another workspace, with a table, a function and a row in it."""
    theirs = database.provision(new_name())
    fill(theirs)
    return theirs


@pytest.fixture
def as_superuser(data_url: str) -> Iterator[psycopg.Connection]:
    """Looks at the data database and past all rights."""
    with psycopg.connect(superuser_url(urlsplit(data_url).path[1:]), autocommit=True) as connection:
        yield connection


@pytest.fixture
def leftovers(as_superuser: psycopg.Connection) -> Callable[[str], dict[str, int]]:
    """What the catalogs know of a workspace, by kind."""

    def count(name: str) -> dict[str, int]:
        queries = {
            "roles": "SELECT count(*) FROM pg_roles WHERE rolname = %s",
            "schemas": "SELECT count(*) FROM pg_namespace WHERE nspname ~ ('^' || %s)",
            "sessions": "SELECT count(*) FROM pg_stat_activity WHERE usename = %s",
            "rights": "SELECT count(*) FROM pg_database WHERE datname = current_database()"
            " AND datacl::text LIKE '%%' || %s || '%%'",
            "unknown rights": "SELECT count(*) FROM pg_database, aclexplode(datacl) WHERE %s <> ''"
            " AND datname = current_database() AND grantee <> 0"
            " AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = grantee)",
        }
        rows = {kind: as_superuser.execute(query, [name]).fetchone() for kind, query in queries.items()}
        return {kind: row[0] for kind, row in rows.items() if row and row[0]}

    return count
