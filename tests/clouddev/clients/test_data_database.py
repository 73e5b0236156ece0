"""The data database: making, repairing, finding and dropping workspaces."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from clouddev.clients.data_database import (
    DataDatabase,
    DataDatabaseBusy,
    DataDatabaseFailed,
    DataDatabaseMissing,
    ForeignName,
    Provisioned,
)
from clouddev.names import database_name_of, is_database_name, new_fly_name
from dev.ports import free_port
from tests.clouddev.data_databases import new_name, superuser_url

FOREIGN_NAMES = [
    "",
    "postgres",
    "crayon",
    "public",
    "pg_monitor",
    "crayon_dev_",
    "crayon_dev_0123abc",
    "crayon_dev_0123abcd0",
    "crayon_dev_0123abcd_dbos",
    "crayon_dev_0123ABCD",
    "crayon_dev_0123abcd\n",
    "crayon_dev_0123abcd\x00",
    " crayon_dev_0123abcd",
    "crayon-dev-0123abcd",
    "crayon_dev_x; DROP",
    'crayon_dev_"; DROP ROLE x',
    "crayon_dev_%s%s%s%s",
    "crayon_dev_١٢٣٤٥٦٧٨",  # digits, but not ours
]

Leftovers = Callable[[str], dict[str, int]]


def query(url: str, statement: str) -> Any:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()


def test_a_machine_gets_an_address_that_works(data_url: str, database: DataDatabase) -> None:
    name = new_name()
    provisioned = database.provision(name)
    admin, machine = urlsplit(data_url), urlsplit(provisioned.url)
    assert (machine.scheme, machine.username) == ("postgresql", name)
    assert (machine.hostname, machine.port, machine.path) == (admin.hostname, admin.port, admin.path)
    assert machine.query == "sslmode=disable"
    assert (provisioned.schema, provisioned.host) == (name, admin.hostname)
    assert query(provisioned.url, "SELECT current_user::text, current_schema()::text") == [(name, name)]


def test_a_machine_owns_its_two_schemas_and_finds_its_own_first(ours: Provisioned) -> None:
    owned = query(
        ours.url,
        "SELECT nspname::text FROM pg_namespace WHERE pg_get_userbyid(nspowner) = current_user ORDER BY 1",
    )
    assert owned == [(ours.schema,), (f"{ours.schema}_dbos",)]
    assert query(ours.url, "SHOW search_path") == [(f"{ours.schema}, public",)]


def test_a_machine_can_do_what_dbos_and_migrations_do(ours: Provisioned) -> None:
    with psycopg.connect(ours.url, autocommit=True) as connection:
        connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{ours.schema}_dbos"'.encode())
        connection.execute("CREATE SCHEMA drizzle")
        connection.execute("CREATE TABLE things (id serial PRIMARY KEY, at timestamptz DEFAULT now())")
        connection.execute("INSERT INTO things DEFAULT VALUES")
        connection.execute("CREATE TEMPORARY TABLE scratch AS SELECT * FROM things")
        connection.execute("LISTEN news")
        connection.execute("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
        connection.execute("CREATE TRIGGER t BEFORE INSERT ON things FOR EACH ROW EXECUTE FUNCTION f()")
        found = connection.execute("SELECT schemaname FROM pg_tables WHERE tablename = 'things'").fetchone()
    assert found == (ours.schema,)


def test_uuids_are_offered_where_the_server_has_them(ours: Provisioned) -> None:
    [(offered,)] = query(ours.url, "SELECT count(*) FROM pg_available_extensions WHERE name = 'uuid-ossp'")
    if offered:
        [(made,)] = query(ours.url, "SELECT length(uuid_generate_v4()::text)")
    else:
        [(made,)] = query(ours.url, "SELECT length(gen_random_uuid()::text)")
    assert made == 36


def test_the_limits_of_a_role_are_set(ours: Provisioned) -> None:
    with psycopg.connect(ours.url) as connection:
        shown = [
            connection.execute(f"SHOW {setting}".encode()).fetchone()
            for setting in ("statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout")
        ]
        limit = connection.execute("SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user").fetchone()
    assert shown == [("5min",), ("5min",), ("1min",)]
    assert limit == (20,)


def test_provisioning_again_gives_a_new_password_and_keeps_the_data(database: DataDatabase) -> None:
    name = new_name()
    first = database.provision(name)
    with psycopg.connect(first.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    second = database.provision(name)
    assert first.url != second.url
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(first.url)
    assert query(second.url, "SELECT number FROM kept") == [(7,)]


@pytest.mark.parametrize(
    "damage",
    [
        "ALTER ROLE {name} NOLOGIN",
        "ALTER ROLE {name} CONNECTION LIMIT 0",
        "ALTER ROLE {name} VALID UNTIL '2001-01-01'",
        "ALTER ROLE {name} PASSWORD NULL",
        "ALTER ROLE {name} RESET ALL",
        "DROP SCHEMA {name}",
        "DROP SCHEMA {name}_dbos",
        "ALTER SCHEMA {name} OWNER TO CURRENT_USER",
        "REVOKE ALL ON DATABASE {database} FROM {name}",
        "DROP SCHEMA {name}; DROP SCHEMA {name}_dbos; DROP OWNED BY {name}; DROP ROLE {name}",
        "DROP OWNED BY {name} CASCADE",
    ],
)
def test_provisioning_repairs_what_is_half_there(database: DataDatabase, data_url: str, damage: str) -> None:
    name = new_name()
    database.provision(name)
    with psycopg.connect(data_url, autocommit=True) as admin:
        admin.execute(damage.format(name=name, database=admin.info.dbname).encode())
    repaired = database.provision(name)
    with psycopg.connect(repaired.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE fine ()")
        connection.execute(f"CREATE TABLE {name}_dbos.fine ()".encode())
        connection.execute("CREATE SCHEMA more")
        assert connection.execute("SELECT to_regclass(%s) IS NOT NULL", [f"{name}.fine"]).fetchone() == (True,)


@pytest.mark.parametrize("right", ["SUPERUSER", "CREATEROLE", "CREATEDB", "REPLICATION", "BYPASSRLS"])
def test_a_role_that_somebody_gave_more_rights_is_not_handed_out(
    database: DataDatabase, as_superuser: psycopg.Connection, right: str
) -> None:
    name = new_name()
    as_superuser.execute(f"CREATE ROLE {name} {right}".encode())
    try:
        for verb in (database.provision, database.drop):
            with pytest.raises(DataDatabaseFailed, match="rights that it must not have"):
                verb(name)
    finally:
        as_superuser.execute(f"DROP ROLE {name}".encode())


def test_a_schema_that_another_workspace_took_is_neither_adopted_nor_dropped(
    database: DataDatabase, theirs: Provisioned
) -> None:
    name = new_name()
    with psycopg.connect(theirs.url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}".encode())
    with pytest.raises(DataDatabaseFailed, match="belongs to another workspace"):
        database.provision(name)
    database.drop(name)
    assert not database.exists(name)
    assert name not in database.list_names()
    assert query(theirs.url, f"SELECT count(*) FROM pg_namespace WHERE nspname = '{name}'") == [(1,)]


def test_the_admin_runs_nothing_that_a_workspace_planted(
    database: DataDatabase, data_url: str, ours: Provisioned
) -> None:
    admin = urlsplit(data_url).username
    with psycopg.connect(ours.url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {admin}".encode())
        connection.execute(f"GRANT USAGE ON SCHEMA {admin} TO PUBLIC".encode())
        connection.execute(
            f"CREATE FUNCTION {admin}.trap(name, name) RETURNS boolean LANGUAGE plpgsql"
            " AS $$BEGIN RAISE EXCEPTION 'sprung'; END$$".encode()
        )
        connection.execute(
            f"CREATE OPERATOR {admin}.= (LEFTARG = name, RIGHTARG = name, PROCEDURE = {admin}.trap)".encode()
        )
        connection.execute(f"CREATE VIEW {admin}.pg_roles AS SELECT 1/0 AS rolname".encode())
    again = database.provision(ours.schema)
    assert database.exists(again.schema)
    database.drop(again.schema)
    assert not database.exists(again.schema)


@pytest.mark.parametrize("name", FOREIGN_NAMES)
def test_names_that_are_not_ours_are_refused_before_anything_is_asked(name: str) -> None:
    nowhere = DataDatabase(url=f"postgresql://admin:x@127.0.0.1:{free_port()}/data")
    for verb in (nowhere.provision, nowhere.drop, nowhere.exists):
        with pytest.raises(ForeignName):
            verb(name)


def test_every_name_of_a_machine_is_a_name_of_a_workspace() -> None:
    assert all(is_database_name(database_name_of(new_fly_name())) for _ in range(100))


def test_what_is_there_is_listed_and_found(database: DataDatabase, ours: Provisioned, theirs: Provisioned) -> None:
    assert database.list_names() == sorted([ours.schema, theirs.schema])
    assert database.exists(ours.schema)
    assert not database.exists(new_name())


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


def test_workspaces_of_another_data_database_on_the_same_server_are_not_listed(
    database: DataDatabase, as_superuser: psycopg.Connection
) -> None:
    name = new_name()
    as_superuser.execute(f"CREATE ROLE {name}".encode())
    try:
        assert name not in database.list_names()
    finally:
        as_superuser.execute(f"DROP ROLE {name}".encode())


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
        database.drop(ours.schema)
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


def test_what_others_stand_on_stays_when_its_owner_is_dropped(
    database: DataDatabase, ours: Provisioned, theirs: Provisioned, as_superuser: psycopg.Connection
) -> None:
    as_superuser.execute("CREATE TYPE public.shared AS ENUM ('one')")
    as_superuser.execute(f"ALTER TYPE public.shared OWNER TO {ours.schema}".encode())
    with psycopg.connect(theirs.url, autocommit=True) as connection:
        connection.execute("ALTER TABLE plans ADD COLUMN kind public.shared")
    database.drop(ours.schema)
    assert query(theirs.url, "SELECT kind FROM plans") == [(None,)]
    as_superuser.execute("DROP TYPE public.shared CASCADE")


def test_many_come_and_go_at_once(database: DataDatabase, leftovers: Leftovers) -> None:
    names = [new_name() for _ in range(16)]

    def come_and_go(name: str) -> None:
        assert query(database.provision(name).url, "SELECT 1") == [(1,)]
        database.drop(name)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(come_and_go, names))
    assert [leftovers(name) for name in names] == [{}] * 16


def test_of_two_who_provision_one_name_at_once_one_has_the_password(database: DataDatabase) -> None:
    name = new_name()
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(database.provision, [name] * 4))
    opened = 0
    for provisioned in made:
        try:
            opened += len(query(provisioned.url, "SELECT 1"))
        except psycopg.OperationalError:
            continue
    assert opened == 1
    assert database.list_names() == [name]


def test_without_a_setting_the_sentence_names_it(settings: Any) -> None:
    settings.DATABASE_DATA_URL = ""
    with pytest.raises(DataDatabaseMissing, match="DATABASE_DATA_URL") as caught:
        DataDatabase.from_settings()
    assert caught.value.status == 503


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://admin:hunter2@[::1/data",
        "postgresql://admin:hunter2@/data",
        "postgresql://:hunter2@db.example/data",
        "postgresql://admin:hunter2@a.example,b.example/data",
        "postgresql://admin:hunter2@%2Frun%2Fpostgresql/data",
        "postgresql://admin:hunter2@db.example/data?nonsense=1",
        "mysql://admin:hunter2@db.example/data",
    ],
)
def test_an_address_that_can_not_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(DataDatabaseMissing, match="DATABASE_DATA_URL") as caught:
        DataDatabase(url=url)
    assert caught.value.__cause__ is None
    assert "hunter2" not in f"{caught.value!r}{caught.value}"


def test_a_database_that_is_down_is_a_typed_failure() -> None:
    nowhere = DataDatabase(url=f"postgresql://admin:hunter2@127.0.0.1:{free_port()}/data")
    for verb in (nowhere.provision, nowhere.drop, nowhere.exists):
        with pytest.raises(DataDatabaseFailed) as caught:
            verb(new_name())
        assert caught.value.status == 502
    with pytest.raises(DataDatabaseFailed):
        nowhere.list_names()


def test_a_database_without_room_for_us_is_busy(data_url: str, as_superuser: psycopg.Connection) -> None:
    admin = urlsplit(data_url).username
    as_superuser.execute(f"ALTER ROLE {admin} CONNECTION LIMIT 0".encode())
    try:
        with pytest.raises(DataDatabaseBusy) as caught:
            DataDatabase(url=data_url).provision(new_name())
    finally:
        as_superuser.execute(f"ALTER ROLE {admin} CONNECTION LIMIT -1".encode())
    assert (caught.value.status, caught.value.retry_after) == (503, 5)


def test_an_admin_that_may_not_is_a_typed_failure(data_url: str, as_superuser: psycopg.Connection) -> None:
    admin = urlsplit(data_url).username
    as_superuser.execute(f"ALTER ROLE {admin} NOCREATEROLE".encode())
    try:
        with pytest.raises(DataDatabaseFailed):
            DataDatabase(url=data_url).provision(new_name())
    finally:
        as_superuser.execute(f"ALTER ROLE {admin} CREATEROLE".encode())


def test_an_admin_that_does_not_own_the_database_is_a_typed_failure_that_leaves_nothing(
    data_url: str, leftovers: Leftovers
) -> None:
    name = new_name()
    elsewhere = urlsplit(data_url)._replace(path="/postgres").geturl()
    with pytest.raises(DataDatabaseFailed):
        DataDatabase(url=elsewhere).provision(name)
    assert leftovers(name) == {}


def test_a_public_schema_that_everybody_may_write_to_is_closed(
    database: DataDatabase, as_superuser: psycopg.Connection
) -> None:
    as_superuser.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
    ours = database.provision(new_name())
    with psycopg.connect(ours.url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("CREATE TABLE public.mine ()")


def test_a_superuser_serves_as_admin_too(data_url: str, leftovers: Leftovers) -> None:
    database = DataDatabase(url=superuser_url(urlsplit(data_url).path[1:]))
    name = new_name()
    assert query(database.provision(name).url, "SELECT current_user::text") == [(name,)]
    database.drop(name)
    assert leftovers(name) == {}


def test_no_password_is_shown_or_logged(
    data_url: str, database: DataDatabase, as_superuser: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    name = new_name()
    provisioned = database.provision(name)
    password, admin_password = urlsplit(provisioned.url).password, urlsplit(data_url).password
    assert password
    assert admin_password
    assert len(password) >= 40
    as_superuser.execute(f"ALTER ROLE {name} SUPERUSER".encode())
    with pytest.raises(DataDatabaseFailed) as caught:
        database.provision(name)
    as_superuser.execute(f"ALTER ROLE {name} NOSUPERUSER".encode())
    shown = f"{provisioned!r}{provisioned}{database!r}{database}{caught.value!r}{caplog.text}"
    assert password not in shown
    assert admin_password not in shown


def test_the_server_is_never_told_a_password(database: DataDatabase, as_superuser: psycopg.Connection) -> None:
    name = new_name()
    database.provision(name)
    row = as_superuser.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", [name]).fetchone()
    assert row is not None
    assert row[0].startswith("SCRAM-SHA-256$4096:")
