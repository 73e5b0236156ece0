"""The connection to the data database breaks at every statement, and the same call again finishes the work."""

from collections.abc import Callable

import psycopg
import pytest

from clouddev.clients.data_database import (
    DataDatabase,
    DataDatabaseBusy,
    DataDatabaseFailed,
    DataDatabaseTimeout,
    Provisioned,
)
from clouddev.clients.data_database import client as client_module
from tests.clouddev.clients.postgres_relay import Fault, PostgresRelay
from tests.clouddev.data_databases import new_name
from tests.stopwatch import Stopwatch

Leftovers = Callable[[str], dict[str, int]]


def statements_of(url: str, work: Callable[[DataDatabase], object]) -> int:
    # The first workspace of a data database has the extension made, which the others find there.
    database, first = DataDatabase(url=url), new_name()
    database.provision(first)
    database.drop(first)
    with PostgresRelay(url) as relay:
        work(DataDatabase(url=relay.url))
    return relay.statements


def break_at(url: str, number: int, fault: Fault, work: Callable[[DataDatabase], object]) -> None:
    with PostgresRelay(url, at=number, fault=fault) as relay:
        with pytest.raises(DataDatabaseFailed):
            work(DataDatabase(url=relay.url))
        assert relay.faults == 1


def use(provisioned: Provisioned) -> None:
    with psycopg.connect(provisioned.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS things ()")
        connection.execute(f"CREATE TABLE IF NOT EXISTS {provisioned.schema}_dbos.state ()".encode())
        connection.execute("CREATE SCHEMA IF NOT EXISTS more")


@pytest.mark.slow(12)
@pytest.mark.parametrize("fault", ["before", "after"])
def test_provisioning_again_works_wherever_it_broke(
    data_url: str, database: DataDatabase, leftovers: Leftovers, fault: Fault
) -> None:
    count = statements_of(data_url, lambda database: database.provision(new_name()))
    assert count >= 15
    for number in range(1, count + 1):
        name = new_name()
        break_at(data_url, number, fault, lambda database, name=name: database.provision(name))
        use(database.provision(name))
        database.drop(name)
        assert leftovers(name) == {}, number


@pytest.mark.slow(10)
@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_provisioning_that_broke_can_be_undone_wherever_it_broke(
    data_url: str, database: DataDatabase, leftovers: Leftovers, fault: Fault
) -> None:
    count = statements_of(data_url, lambda database: database.provision(new_name()))
    for number in range(1, count + 1):
        name = new_name()
        break_at(data_url, number, fault, lambda database, name=name: database.provision(name))
        database.drop(name)
        assert leftovers(name) == {}, number


@pytest.mark.slow(35)
@pytest.mark.parametrize("fault", ["before", "after"])
def test_dropping_again_works_wherever_it_broke(
    data_url: str, database: DataDatabase, leftovers: Leftovers, fault: Fault
) -> None:
    def made() -> str:
        provisioned = database.provision(new_name())
        use(provisioned)
        return provisioned.schema

    first = made()
    count = statements_of(data_url, lambda database: database.drop(first))
    assert count >= 15
    for number in range(1, count + 1):
        name = made()
        break_at(data_url, number, fault, lambda database, name=name: database.drop(name))
        present = leftovers(name) != {}
        assert (name in database.list_names()) == present, number
        database.drop(name)
        assert leftovers(name) == {}, number


@pytest.mark.slow(25)
@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_workspace_whose_drop_broke_can_be_provisioned_again(
    data_url: str, database: DataDatabase, fault: Fault
) -> None:
    first = database.provision(new_name()).schema
    count = statements_of(data_url, lambda database: database.drop(first))
    name = new_name()
    for number in range(1, count + 1):
        database.provision(name)
        break_at(data_url, number, fault, lambda database: database.drop(name))
        use(database.provision(name))


def test_a_server_that_stops_answering_costs_a_bounded_time(
    data_url: str, database: DataDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_PROVISION_SECONDS", 1)
    name = new_name()
    with PostgresRelay(data_url, at=6, fault="freeze") as relay:
        with Stopwatch() as watch, pytest.raises(DataDatabaseTimeout) as caught:
            DataDatabase(url=relay.url).provision(name)
        assert watch.at_ease < 3
    assert caught.value.status == 504
    use(database.provision(name))


def test_what_somebody_else_has_locked_is_waited_for_a_bounded_time(
    database: DataDatabase, ours: Provisioned, as_superuser: psycopg.Connection, leftovers: Leftovers
) -> None:
    """A session that isn't the workspace's is not ended; the drop says so, and works later."""
    use(ours)
    with as_superuser.transaction():
        as_superuser.execute(f"LOCK TABLE {ours.schema}.things IN ACCESS SHARE MODE".encode())
        with Stopwatch() as watch, pytest.raises(DataDatabaseBusy):
            database.drop(ours.schema)
        assert watch.at_ease < 8
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(ours.url)
    database.drop(ours.schema)
    assert leftovers(ours.schema) == {}
