"""What a workspace's role can't do to the others, to the server or to itself."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import psycopg
import pytest

from clouddev.clients.data_database import DataDatabase, Provisioned
from tests.clouddev.data_databases import data_database, fill, new_name, superuser_url

DENIED = psycopg.errors.InsufficientPrivilege


@pytest.fixture(scope="module")
def neighbourhood() -> Iterator[tuple[DataDatabase, Provisioned, Provisioned]]:
    """A data database and two workspaces in it, for all of these tests: they change nothing that another needs."""
    with data_database() as url:
        database = DataDatabase(url=url)
        theirs = database.provision(new_name())
        fill(theirs)
        yield database, database.provision(new_name()), theirs


@pytest.fixture
def database(neighbourhood: tuple[DataDatabase, Provisioned, Provisioned]) -> DataDatabase:
    return neighbourhood[0]


@pytest.fixture
def ours(neighbourhood: tuple[DataDatabase, Provisioned, Provisioned]) -> Provisioned:
    return neighbourhood[1]


@pytest.fixture
def theirs(neighbourhood: tuple[DataDatabase, Provisioned, Provisioned]) -> Provisioned:
    return neighbourhood[2]


@pytest.fixture
def us(ours: Provisioned) -> Iterator[psycopg.Connection]:
    with psycopg.connect(ours.url, autocommit=True) as connection:
        yield connection


def run(connection: psycopg.Connection, statement: str, ours: Provisioned, theirs: Provisioned) -> None:
    database = connection.info.dbname
    connection.execute(statement.format(me=ours.schema, they=theirs.schema, database=database).encode())


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM {they}.plans",
        "COPY {they}.plans TO STDOUT",
        "SELECT {they}.answer()",
        "SELECT 1 FROM {they}_dbos.anything",
        "CREATE VIEW peek AS SELECT * FROM {they}.plans",
        "CREATE TABLE copied (LIKE {they}.plans)",
        "SELECT lo_get(1) FROM {they}.plans",
    ],
)
def test_it_can_not_read_anothers(
    us: psycopg.Connection, ours: Provisioned, theirs: Provisioned, statement: str
) -> None:
    with pytest.raises(DENIED):
        run(us, statement, ours, theirs)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO {they}.plans VALUES ('sell it')",
        "UPDATE {they}.plans SET secret_plan = ''",
        "DELETE FROM {they}.plans",
        "TRUNCATE {they}.plans",
        "CREATE TABLE {they}.mine ()",
        "CREATE TABLE {they}_dbos.mine ()",
        "CREATE FUNCTION {they}.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE TABLE public.mine ()",
        "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE TYPE public.mine AS ENUM ()",
        "CREATE TABLE pg_catalog.mine ()",
        "CREATE TABLE information_schema.mine ()",
    ],
)
def test_it_can_not_write_or_create_where_others_are(
    us: psycopg.Connection, ours: Provisioned, theirs: Provisioned, statement: str
) -> None:
    with pytest.raises(DENIED):
        run(us, statement, ours, theirs)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE {they}.plans ADD COLUMN x int",
        "ALTER TABLE {they}.plans OWNER TO CURRENT_USER",
        "DROP TABLE {they}.plans",
        "DROP SCHEMA {they} CASCADE",
        "DROP SCHEMA public",
        "ALTER SCHEMA {they} RENAME TO gone",
        "ALTER SCHEMA {they} OWNER TO CURRENT_USER",
        "ALTER SCHEMA public OWNER TO CURRENT_USER",
        "GRANT USAGE ON SCHEMA {they} TO {me}",
        "DROP OWNED BY {they}",
        "REASSIGN OWNED BY {they} TO {me}",
        "ALTER DEFAULT PRIVILEGES FOR ROLE {they} GRANT ALL ON TABLES TO {me}",
        "COMMENT ON SCHEMA {they} IS 'hello'",
    ],
)
def test_it_can_not_alter_or_drop_anothers(
    us: psycopg.Connection, ours: Provisioned, theirs: Provisioned, statement: str
) -> None:
    with pytest.raises(DENIED):
        run(us, statement, ours, theirs)
    with psycopg.connect(theirs.url) as connection:
        assert connection.execute("SELECT secret_plan FROM plans").fetchall() == [("buy a boat",)]


@pytest.mark.parametrize(
    "lock",
    [
        "{they}.plans IN ACCESS SHARE MODE",
        "{they}.plans IN ROW EXCLUSIVE MODE",
        "{they}.plans IN ACCESS EXCLUSIVE MODE",
        "pg_class IN ROW EXCLUSIVE MODE",
        "pg_database IN ACCESS EXCLUSIVE MODE",
    ],
)
def test_it_can_not_lock_anothers(us: psycopg.Connection, ours: Provisioned, theirs: Provisioned, lock: str) -> None:
    with us.transaction(), pytest.raises(DENIED):
        run(us, f"LOCK TABLE {lock}", ours, theirs)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT table_name FROM information_schema.tables WHERE table_schema LIKE '{they}%'",
        "SELECT column_name FROM information_schema.columns WHERE table_schema LIKE '{they}%'",
        "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE '{they}%'",
        "SELECT routine_name FROM information_schema.routines WHERE routine_schema LIKE '{they}%'",
        "SELECT 1 FROM information_schema.table_privileges WHERE table_schema LIKE '{they}%'",
        "SELECT 1 FROM information_schema.usage_privileges WHERE object_schema LIKE '{they}%'",
        "SELECT 1 FROM pg_stats WHERE schemaname = '{they}'",
    ],
)
def test_it_is_told_no_names_of_anothers(
    us: psycopg.Connection, ours: Provisioned, theirs: Provisioned, query: str
) -> None:
    statement = query.format(they=theirs.schema).encode()
    with psycopg.connect(theirs.url, autocommit=True) as connection:
        connection.execute("ANALYZE plans")
        assert connection.execute(statement).fetchall() != [] or "privileges" in query
    assert us.execute(statement).fetchall() == []


def test_it_does_not_see_what_others_ask_nor_from_where(us: psycopg.Connection, theirs: Provisioned) -> None:
    with psycopg.connect(theirs.url) as connection:
        connection.execute("SELECT 'the secret plan'")
        seen = us.execute(
            "SELECT DISTINCT query, client_addr FROM pg_stat_activity WHERE usename = %s", [theirs.schema]
        ).fetchall()
    assert seen == [("<insufficient privilege>", None)]


def test_it_can_not_end_or_cancel_anothers_sessions(us: psycopg.Connection, theirs: Provisioned) -> None:
    with psycopg.connect(theirs.url) as connection:
        for function in ("pg_terminate_backend", "pg_cancel_backend"):
            with pytest.raises(DENIED):
                us.execute(f"SELECT {function}(%s)".encode(), [connection.info.backend_pid])
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE ROLE friend",
        "CREATE DATABASE mine",
        "ALTER ROLE {me} SUPERUSER",
        "ALTER ROLE {me} BYPASSRLS",
        "ALTER ROLE {me} REPLICATION",
        "ALTER ROLE {me} CREATEROLE",
        "ALTER ROLE {me} CREATEDB",
        "ALTER ROLE {me} CONNECTION LIMIT -1",
        "ALTER ROLE {me} VALID UNTIL 'infinity'",
        "ALTER ROLE {me} SET log_statement = 'none'",
        "ALTER ROLE {they} PASSWORD 'x'",
        "ALTER ROLE {they} NOLOGIN",
        "ALTER ROLE {they} SET search_path = {me}",
        "ALTER ROLE ALL SET search_path = {me}",
        "ALTER DATABASE {database} SET search_path = {me}",
        "ALTER DATABASE {database} RENAME TO mine",
        "ALTER DATABASE {database} CONNECTION LIMIT 1",
        "DROP ROLE {they}",
        "DROP DATABASE {database}",
        "SET ROLE {they}",
        "SET SESSION AUTHORIZATION {they}",
        "SET ROLE {database}",  # the admin's name too
        "GRANT {they} TO {me}",
        "GRANT {me} TO {they}",
        "GRANT {database} TO {me}",
        "GRANT pg_read_all_data TO {me}",
        "GRANT pg_execute_server_program TO {me}",
        "CREATE EVENT TRIGGER t ON ddl_command_start EXECUTE FUNCTION nothing()",
        "CREATE FUNCTION c() RETURNS int LANGUAGE c AS 'libc', 'getpid'",
        "CREATE FUNCTION i() RETURNS int LANGUAGE internal AS 'pg_backend_pid'",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "COPY (SELECT 1) TO '/tmp/never'",
        "SELECT pg_read_file('/etc/hostname')",
        "SELECT pg_ls_dir('.')",
        "SELECT lo_import('/etc/hostname')",
        "ALTER SYSTEM SET work_mem = '1GB'",
        "SET session_replication_role = replica",
        "SET zero_damaged_pages = on",
        "SELECT * FROM pg_authid",
        "SELECT * FROM pg_hba_file_rules",
        "SELECT pg_reload_conf()",
        "SELECT pg_switch_wal()",
        "SELECT pg_create_physical_replication_slot('mine')",
        "CREATE PUBLICATION everything FOR ALL TABLES",
        "CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1' PUBLICATION p WITH (connect = false)",
        "CREATE TABLESPACE mine LOCATION '/tmp'",
        "CHECKPOINT",
    ],
)
def test_it_can_not_raise_its_rights_or_touch_the_server(
    us: psycopg.Connection, ours: Provisioned, theirs: Provisioned, statement: str
) -> None:
    us.execute("CREATE OR REPLACE FUNCTION nothing() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'")
    with pytest.raises(DENIED):
        run(us, statement, ours, theirs)


def test_it_can_not_install_what_the_server_does_not_trust(us: psycopg.Connection) -> None:
    untrusted = us.execute(
        "SELECT e.name FROM pg_available_extensions e JOIN pg_available_extension_versions v"
        " ON v.name = e.name AND v.version = e.default_version"
        " WHERE v.superuser AND NOT v.trusted AND cardinality(coalesce(v.requires, '{}')) = 0"
        " AND e.installed_version IS NULL AND e.name IN ('vector', 'dblink', 'file_fdw', 'adminpack', 'pageinspect')"
    ).fetchall()
    assert untrusted
    for (name,) in untrusted:
        with pytest.raises(DENIED):
            us.execute(f"CREATE EXTENSION {name}".encode())


def test_it_is_a_member_of_nobody(us: psycopg.Connection) -> None:
    roles = us.execute("SELECT rolname FROM pg_roles WHERE pg_has_role(oid, 'MEMBER') AND rolname <> current_user")
    assert roles.fetchall() == []


def test_it_can_not_connect_past_its_limit(ours: Provisioned, theirs: Provisioned) -> None:
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(psycopg.connect(ours.url))
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            psycopg.connect(ours.url)
        stack.enter_context(psycopg.connect(theirs.url))


def test_statements_that_were_forgotten_are_ended(ours: Provisioned) -> None:
    """The defaults are in force for every session; here with a shorter time."""
    for setting in ("statement_timeout", "idle_in_transaction_session_timeout"):
        with psycopg.connect(ours.url, autocommit=True) as connection:
            connection.execute(f"ALTER ROLE {ours.schema} SET {setting} = '300ms'".encode())
    with psycopg.connect(ours.url) as connection:
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(5)")
        connection.rollback()
        connection.execute("SELECT 1")
        time.sleep(0.6)
        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            connection.execute("SELECT 1")
    with psycopg.connect(ours.url, autocommit=True) as connection:
        connection.execute(f"ALTER ROLE {ours.schema} RESET ALL".encode())


def test_it_can_read_nothing_in_the_servers_other_databases(ours: Provisioned) -> None:
    other = urlsplit(ours.url)._replace(path="/postgres").geturl()
    with psycopg.connect(superuser_url(), autocommit=True) as superuser:
        superuser.execute("CREATE TABLE IF NOT EXISTS public.not_for_workspaces ()")
    with psycopg.connect(other, autocommit=True) as connection:
        for statement in ("SELECT * FROM not_for_workspaces", "CREATE TABLE mine ()", "CREATE SCHEMA mine"):
            with pytest.raises(DENIED):
                connection.execute(statement.encode())
