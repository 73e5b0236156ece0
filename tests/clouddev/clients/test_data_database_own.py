"""A database of its own for each workspace, where the admin may make databases."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Timer
from urllib.parse import urlsplit

import psycopg
import pytest

from clouddev.clients.data_database import DataDatabase, DataDatabaseFailed, Provisioned
from tests.clouddev.data_databases import data_database, fill, new_name, query, run, superuser_url


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with data_database(more="CREATEDB") as url:
        yield url


@pytest.fixture
def database(url: str) -> Iterator[DataDatabase]:
    database = DataDatabase(url=url)
    yield database
    for name in database.list_names():
        database.drop(name)


@pytest.fixture
def ours(database: DataDatabase) -> Provisioned:
    return database.provision(new_name())


@pytest.fixture
def theirs(database: DataDatabase) -> Provisioned:
    theirs = database.provision(new_name())
    fill(theirs)
    return theirs


def left_of(name: str) -> list[tuple[str]]:
    """What the server still has of a workspace."""
    return query(  # type: ignore[no-any-return]
        superuser_url(),
        f"SELECT 'role' FROM pg_roles WHERE rolname = '{name}'"
        f" UNION ALL SELECT 'database' FROM pg_database WHERE datname = '{name}'",
    )


def test_a_machine_gets_a_database_with_its_schemas_in_it(url: str, ours: Provisioned) -> None:
    parts = urlsplit(ours.url)
    assert (parts.scheme, parts.username, parts.path) == ("postgresql", ours.schema, f"/{ours.schema}")
    assert query(ours.url, "SELECT current_schema::text, current_database()::text") == [(ours.schema, ours.schema)]
    schemas = query(ours.url, "SELECT nspname::text FROM pg_namespace WHERE nspowner::regrole = current_user::regrole")
    assert sorted(schemas) == [(ours.schema,), (f"{ours.schema}_dbos",)]
    run(ours.url, "CREATE TABLE t (id serial)", "CREATE SCHEMA drizzle", "CREATE TEMPORARY TABLE u ()")
    assert query(url, "SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'crayon%'") == []
    owner = query(ours.url, "SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = current_database()")
    assert owner == [(urlsplit(url).username,)]


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE public.mine ()", "ALTER DATABASE {me} RENAME TO x", "DROP DATABASE {me}"]
)
def test_it_owns_its_schemas_and_not_its_database(ours: Provisioned, statement: str) -> None:
    with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectInUse)):
        run(ours.url, statement.format(me=ours.schema))


def test_no_workspace_can_connect_to_anothers_or_to_the_admins(
    url: str, ours: Provisioned, theirs: Provisioned
) -> None:
    run(superuser_url(), f"REVOKE CONNECT ON DATABASE {urlsplit(url).path[1:]} FROM PUBLIC")
    for path in (f"/{theirs.schema}", urlsplit(url).path):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            query(urlsplit(ours.url)._replace(path=path).geturl(), "SELECT 1")


def test_workspaces_do_not_hear_or_hinder_each_other(ours: Provisioned, theirs: Provisioned) -> None:
    with psycopg.connect(ours.url, autocommit=True) as listener, psycopg.connect(theirs.url, autocommit=True) as other:
        listener.execute("LISTEN news")
        other.execute("NOTIFY news, 'theirs'")
        listener.execute("NOTIFY news, 'ours'")
        assert [notice.payload for notice in listener.notifies(timeout=5, stop_after=1)] == ["ours"]
        other.execute("SELECT pg_advisory_lock(1)")
        assert listener.execute("SELECT pg_try_advisory_lock(1)").fetchone() == (True,)
        for each in (listener, other):
            each.execute("CREATE SCHEMA auth; CREATE SCHEMA dbos")
        seen = listener.execute("SELECT count(*) FROM pg_class WHERE relname = 'plans'").fetchone()
        assert seen == (0,)


def test_dropping_takes_the_database_the_sessions_and_the_role(
    database: DataDatabase, ours: Provisioned, theirs: Provisioned
) -> None:
    fill(ours)
    with psycopg.connect(ours.url) as session:
        session.execute("LOCK TABLE plans")
        assert database.drop(ours.schema) is True
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    assert left_of(ours.schema) == []
    assert database.exists(ours.schema) is False
    assert query(theirs.url, "SELECT secret_plan FROM plans") == [("buy a boat",)]
    assert database.list_names() == [theirs.schema]
    assert database.drop(ours.schema) is True


def test_a_superusers_session_is_waited_for_while_a_database_is_dropped(
    database: DataDatabase, ours: Provisioned
) -> None:
    """Which the admin may not end: a monitor's or a backup's, and above all those of autovacuum."""
    with psycopg.connect(superuser_url(ours.schema)) as session:
        leaves = Timer(0.5, session.close)
        leaves.start()
        assert database.drop(ours.schema) is True
        leaves.join()
    assert left_of(ours.schema) == []


@pytest.mark.parametrize("where", ["its own", "the server's"])
@pytest.mark.parametrize("isolation", ["database", "schema"])
def test_prepared_transactions_keep_nothing_from_being_dropped(url: str, isolation: str, where: str) -> None:
    """They outlive their session, hold their locks for ever, and PostgreSQL drops no database that has one."""
    database = DataDatabase(url=url, isolation=isolation)
    ours = database.provision(new_name())
    fill(ours)
    path = urlsplit(ours.url).path if where == "its own" else "/postgres"
    lock = "LOCK TABLE plans" if where == "its own" else "SELECT lo_create(0)"
    address = urlsplit(ours.url)._replace(path=path).geturl()
    identifier = f"'it''s {ours.schema}'"
    run(address, f"BEGIN; {lock}; PREPARE TRANSACTION {identifier}")
    try:
        assert database.drop(ours.schema) is True
    finally:
        left = query(superuser_url(), f"SELECT gid FROM pg_prepared_xacts WHERE gid = {identifier}")
        if left:
            run(superuser_url(path[1:]), f"ROLLBACK PREPARED {identifier}")
    assert (left, left_of(ours.schema)) == ([], [])


def test_made_again_it_keeps_what_is_in_it(database: DataDatabase, theirs: Provisioned) -> None:
    again = database.provision(theirs.schema)
    assert query(again.url, "SELECT secret_plan FROM plans") == [("buy a boat",)]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        query(theirs.url, "SELECT 1")


# How a server that was killed may have left things, by statements of the admin's and of a superuser's.
CUT_OFF = {
    "made, with no role": ("CREATE DATABASE {name} TEMPLATE template0 ALLOW_CONNECTIONS false", ""),
    "made, with PUBLIC in it": ("CREATE DATABASE {name} TEMPLATE template0", ""),
    "half dropped": (
        "CREATE DATABASE {name} TEMPLATE template0",
        "UPDATE pg_database SET datconnlimit = -2 WHERE datname = '{name}'",
    ),
}


@pytest.mark.parametrize("way", CUT_OFF)
def test_what_was_cut_off_is_listed_and_can_be_finished_or_dropped(database: DataDatabase, url: str, way: str) -> None:
    first, second = new_name(), new_name()
    for name in (first, second):
        ours, superusers = (statement.format(name=name) for statement in CUT_OFF[way])
        run(url, ours)
        if superusers:
            run(superuser_url(), superusers)
        assert database.exists(name)
    assert database.list_names() == sorted([first, second])
    assert query(database.provision(first).url, "SELECT current_database()::text") == [(first,)]
    may = f"SELECT has_database_privilege('public', '{first}', 'CONNECT')"
    assert query(url, may) == [(False,)]
    for name in (first, second):
        assert database.drop(name) is True
        assert left_of(name) == []


def test_a_role_whose_database_is_dropped_is_listed_until_it_is_gone(
    database: DataDatabase, url: str, ours: Provisioned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropped up to there: the role is locked out and its database gone."""
    monkeypatch.setattr("clouddev.clients.data_database.drop.drop_possessions", _die)
    with pytest.raises(RuntimeError):
        database.drop(ours.schema)
    assert left_of(ours.schema) == [("role",)]
    assert database.list_names() == [ours.schema]
    monkeypatch.undo()
    assert database.drop(ours.schema) is True
    assert left_of(ours.schema) == []


def _die(*_: object) -> None:
    raise RuntimeError


def test_a_workspace_stays_where_it_was_made_whatever_the_setting_becomes(database: DataDatabase, url: str) -> None:
    shared, name, own = DataDatabase(url=url, isolation="schema"), new_name(), new_name()
    fill(shared.provision(name))
    fill(database.provision(own))

    for either in (database, shared):
        again = either.provision(name)
        assert urlsplit(again.url).path == urlsplit(url).path
        assert query(again.url, "SELECT secret_plan FROM plans") == [("buy a boat",)]
    assert urlsplit(shared.provision(own).url).path == f"/{own}"
    assert database.list_names() == shared.list_names() == sorted([name, own])
    assert database.drop(name) is True
    assert shared.drop(own) is True
    assert (left_of(name), left_of(own)) == ([], [])


def test_an_admin_that_may_make_none_shares_its_own_unless_it_must_not() -> None:
    with data_database() as url:
        name = new_name()
        with pytest.raises(DataDatabaseFailed, match="may not make databases"):
            DataDatabase(url=url, isolation="database").provision(name)
        assert left_of(name) == []
        assert urlsplit(DataDatabase(url=url).provision(name).url).path == urlsplit(url).path


def test_a_database_of_somebody_elses_is_left_alone(database: DataDatabase) -> None:
    name = new_name()
    run(superuser_url(), f"CREATE DATABASE {name}")
    try:
        for act in (database.provision, database.drop):
            with pytest.raises(DataDatabaseFailed, match="belongs to another role"):
                act(name)
        assert left_of(name) == [("database",)]
        assert database.list_names() == []
    finally:
        run(superuser_url(), f"DROP DATABASE {name}")


def test_many_come_and_go_at_once_and_two_make_the_same(database: DataDatabase) -> None:
    names = [new_name() for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(database.provision, names * 2))
        assert sorted(workspace.schema for workspace in made) == sorted(names * 2)
        assert all(pool.map(database.drop, names * 2))
    assert [left_of(name) for name in names] == [[]] * 3
    assert database.list_names() == []
