"""The data database: what dropping a workspace takes along, and what it leaves alone."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import psycopg
import pytest

from clouddev.clients.data_database import (
    DataDatabase,
    Provisioned,
)
from tests.clouddev.data_databases import data_database, fill, new_name, query, run, superuser_url

Leftovers = Callable[[str], dict[str, int]]


@pytest.mark.parametrize("suffix", ["", "_dbos"])
def test_a_schema_left_without_its_role_is_listed_and_dropped(
    database: DataDatabase, data_url: str, leftovers: Leftovers, suffix: str
) -> None:
    name = new_name()
    with psycopg.connect(data_url, autocommit=True) as admin:
        admin.execute(f"CREATE SCHEMA {name}{suffix}; CREATE TABLE {name}{suffix}.t ()".encode())
    assert database.list_names() == [name]
    assert database.exists(name)
    database.drop(name)
    assert leftovers(name) == {}


def test_a_role_left_without_its_schemas_is_listed_and_dropped(
    database: DataDatabase, ours: Provisioned, leftovers: Leftovers
) -> None:
    with psycopg.connect(ours.url, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA {ours.schema}; DROP SCHEMA {ours.schema}_dbos".encode())
    assert database.list_names() == [ours.schema]
    database.drop(ours.schema)
    assert leftovers(ours.schema) == {}


def test_dropping_takes_everything_of_a_workspace(
    database: DataDatabase, ours: Provisioned, as_superuser: psycopg.Connection, leftovers: Leftovers
) -> None:
    with psycopg.connect(ours.url, autocommit=True) as connection:
        for statement in (
            "CREATE SCHEMA drizzle",
            "CREATE TABLE drizzle.t (id serial)",
            "CREATE TABLE parents (id int PRIMARY KEY) PARTITION BY RANGE (id)",
            "CREATE TABLE children PARTITION OF parents FOR VALUES FROM (0) TO (9)",
            "CREATE VIEW seen AS SELECT * FROM parents",
            "CREATE MATERIALIZED VIEW kept AS SELECT * FROM seen",
            "CREATE TYPE mood AS ENUM ('well')",
            "CREATE FUNCTION f() RETURNS mood LANGUAGE sql AS $$SELECT 'well'::mood$$",
            "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
            "CREATE PUBLICATION news",
            "SELECT lo_create(0)",
            f"GRANT ALL ON SCHEMA {ours.schema} TO PUBLIC",
        ):
            connection.execute(statement.encode())
    database.drop(ours.schema)
    assert leftovers(ours.schema) == {}
    for catalog in ("pg_publication", "pg_largeobject_metadata", "pg_default_acl"):
        assert as_superuser.execute(f"SELECT count(*) FROM {catalog}".encode()).fetchone() == (0,)
    assert as_superuser.execute("SELECT to_regnamespace('drizzle')").fetchone() == (None,)


def test_dropping_many_tables_takes_few_locks_at_a_time(
    database: DataDatabase, ours: Provisioned, as_superuser: psycopg.Connection, leftovers: Leftovers
) -> None:
    with psycopg.connect(ours.url, autocommit=True) as connection:
        connection.execute("DO $$BEGIN FOR n IN 1..1500 LOOP EXECUTE format('CREATE TABLE t%s ()', n); END LOOP; END$$")
    most, done = 0, threading.Event()
    with ThreadPoolExecutor(1) as pool:
        dropping = pool.submit(database.drop, ours.schema)
        dropping.add_done_callback(lambda _: done.set())
        while not done.wait(0.002):
            row = as_superuser.execute(
                "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND locktype = 'relation'"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            ).fetchone()
            most = max(most, row[0] if row else 0)
        dropping.result()
    assert leftovers(ours.schema) == {}
    assert 0 < most <= 400


def test_dropping_twice_or_nothing_is_no_failure(database: DataDatabase, ours: Provisioned) -> None:
    database.drop(ours.schema)
    database.drop(ours.schema)
    database.drop(new_name())


def test_a_dropped_role_is_out_and_can_not_come_back(
    database: DataDatabase, ours: Provisioned, leftovers: Leftovers
) -> None:
    stop = threading.Event()

    def come_back() -> int:
        """As a pool does that was told its connections are gone."""
        times = 0
        while not stop.is_set():
            try:
                with psycopg.connect(ours.url, autocommit=True) as connection:
                    times += 1
                    while True:
                        connection.execute("SELECT pg_sleep(0.01)")
            except psycopg.Error:
                continue
        return times

    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(come_back) for _ in range(4)]
        deadline = time.monotonic() + 10
        while leftovers(ours.schema).get("sessions", 0) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        try:
            database.drop(ours.schema)
        finally:
            stop.set()
    assert all(client.result() >= 1 for client in clients)
    assert leftovers(ours.schema) == {}


def test_dropping_waits_for_nobody_who_holds_locks(
    database: DataDatabase, ours: Provisioned, leftovers: Leftovers
) -> None:
    holder = psycopg.connect(ours.url)
    holder.execute("CREATE TABLE held ()")
    holder.commit()
    holder.execute("LOCK TABLE held IN ACCESS EXCLUSIVE MODE")
    holder.execute("SELECT pg_advisory_lock(1)")
    database.drop(ours.schema)
    assert leftovers(ours.schema) == {}
    with pytest.raises(psycopg.OperationalError):
        holder.execute("SELECT 1")
    holder.close()


def test_dropping_one_ends_nobody_elses_sessions(
    database: DataDatabase, ours: Provisioned, theirs: Provisioned
) -> None:
    with psycopg.connect(theirs.url) as connection:
        database.drop(ours.schema)
        assert connection.execute("SELECT secret_plan FROM plans").fetchone() == ("buy a boat",)


def test_what_stands_on_its_things_goes_and_what_others_keep_stays(
    database: DataDatabase, ours: Provisioned, theirs: Provisioned, as_superuser: psycopg.Connection
) -> None:
    as_superuser.execute("CREATE TYPE public.shared AS ENUM ('one')")
    as_superuser.execute(f"ALTER TYPE public.shared OWNER TO {ours.schema}".encode())
    with psycopg.connect(theirs.url, autocommit=True) as connection:
        connection.execute("ALTER TABLE plans ADD COLUMN kind public.shared")
    database.drop(ours.schema)
    assert query(theirs.url, "SELECT * FROM plans") == [("buy a boat",)]
    assert as_superuser.execute("SELECT to_regtype('public.shared')").fetchone() == (None,)


def test_many_come_and_go_at_once(database: DataDatabase, leftovers: Leftovers) -> None:
    names = [new_name() for _ in range(16)]

    def come_and_go(name: str) -> None:
        assert query(database.provision(name).url, "SELECT 1") == [(1,)]
        database.drop(name)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(come_and_go, names))
    assert [leftovers(name) for name in names] == [{}] * 16


@pytest.mark.parametrize("place", ["public", "{they}"])
def test_an_extension_that_it_installs_for_others_is_not_missed_when_it_goes(
    database: DataDatabase, data_url: str, ours: Provisioned, theirs: Provisioned, place: str
) -> None:
    """PostgreSQL lets it install a trusted extension anywhere, and others may come to need that."""
    schema = place.format(they=theirs.schema)
    try:
        run(ours.url, f"CREATE EXTENSION citext SCHEMA {schema}")
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFile):
        return
    with psycopg.connect(theirs.url, autocommit=True) as connection:
        connection.execute(f"ALTER TABLE plans ADD COLUMN kind {schema}.citext DEFAULT 'small'".encode())
    database.drop(ours.schema)
    with psycopg.connect(theirs.url, autocommit=True) as connection:
        assert connection.execute("SELECT kind = 'SMALL' FROM plans").fetchone() == (True,)
    database.drop(theirs.schema)
    assert database.list_names() == []
    run(data_url, "DROP EXTENSION IF EXISTS citext")


def share_elsewhere(theirs: Provisioned, ours: Provisioned, database: str) -> int:
    """Where PUBLIC may connect, another workspace makes a large object and shares it with ours; gives its number."""
    url = urlsplit(theirs.url)._replace(path=f"/{database}").geturl()
    number = query(url, "SELECT lo_create(0)")[0][0]
    run(url, f"GRANT SELECT ON LARGE OBJECT {number} TO {ours.schema}")
    return int(number)


@pytest.fixture
def other(data_url: str) -> Iterator[str]:
    """Another database of the server, in which the admin has no more rights than anybody."""
    name = f"other_{secrets.token_hex(4)}"
    run(superuser_url(), f"CREATE DATABASE {name}")
    yield name
    run(superuser_url(), f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def test_what_others_share_with_it_in_another_database_keeps_no_role(
    database: DataDatabase, ours: Provisioned, theirs: Provisioned, other: str, leftovers: Leftovers
) -> None:
    number = share_elsewhere(theirs, ours, other)
    assert database.drop(ours.schema) is True
    assert leftovers(ours.schema) == {}
    kept = query(superuser_url(other), f"SELECT lomacl::text FROM pg_largeobject_metadata WHERE oid = {number}")
    assert len(kept) == 1
    assert ours.schema not in kept[0][0]
    assert database.drop(theirs.schema) is True
    assert leftovers(theirs.schema) == {}
    assert query(superuser_url(other), "SELECT FROM pg_largeobject_metadata") == []


@pytest.mark.parametrize("way", ["closed", "not ours"])
def test_a_role_that_can_not_be_dropped_is_left_with_nothing_and_listed_until_it_can(
    database: DataDatabase,
    ours: Provisioned,
    theirs: Provisioned,
    other: str,
    leftovers: Leftovers,
    caplog: pytest.LogCaptureFixture,
    way: str,
) -> None:
    fill(ours)
    if way == "closed":
        share_elsewhere(theirs, ours, other)
        run(superuser_url(), f"REVOKE CONNECT ON DATABASE {other} FROM PUBLIC")
    else:
        run(superuser_url(other), "CREATE TABLE held ()", f"GRANT SELECT ON held TO {ours.schema}")
    for _ in range(2):
        assert database.drop(ours.schema) is False
        assert leftovers(ours.schema) == {"roles": 1}
        assert database.list_names() == sorted([ours.schema, theirs.schema])
    role = query(superuser_url(), f"SELECT rolcanlogin, rolpassword FROM pg_authid WHERE rolname = '{ours.schema}'")
    assert role == [(False, None)]
    assert f"the role {ours.schema} is left without a login, as it is named in {other}" in caplog.text
    run(superuser_url(), f"DROP DATABASE {other} WITH (FORCE)")
    assert database.drop(ours.schema) is True
    assert leftovers(ours.schema) == {}
    assert database.list_names() == [theirs.schema]


def test_a_role_that_was_left_is_not_listed_in_another_data_database(
    database: DataDatabase, ours: Provisioned, other: str
) -> None:
    run(superuser_url(other), "CREATE TABLE held ()", f"GRANT SELECT ON held TO {ours.schema}")
    database.drop(ours.schema)
    with data_database() as another:
        assert DataDatabase(url=another).list_names() == []
    run(superuser_url(other), "DROP TABLE held")
    assert database.drop(ours.schema) is True
