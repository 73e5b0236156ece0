"""Two workspaces in the data database."""

from collections.abc import Iterator

import pytest

from clouddev.clients.data_database import DataDatabase, Provisioned
from tests.clouddev.data_databases import fill, new_name


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
