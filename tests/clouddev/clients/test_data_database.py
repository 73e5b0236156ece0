"""The data database: making, repairing and finding workspaces."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import psycopg
import pytest

from clouddev.clients.data_database import (
    DataDatabase,
    DataDatabaseFailed,
    Provisioned,
)
from tests.clouddev.data_databases import new_name, query, superuser_url

Leftovers = Callable[[str], dict[str, int]]


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
            f"CREATE FUNCTION {admin}.trap(oid, regclass) RETURNS boolean LANGUAGE plpgsql"
            " AS $$BEGIN RAISE EXCEPTION 'sprung'; END$$".encode()
        )
        connection.execute(
            f"CREATE OPERATOR {admin}.= (LEFTARG = oid, RIGHTARG = regclass, PROCEDURE = {admin}.trap)".encode()
        )
        connection.execute(f"CREATE VIEW {admin}.pg_roles AS SELECT 1/0 AS rolname".encode())
        connection.execute(f"GRANT EXECUTE ON FUNCTION {admin}.trap TO PUBLIC".encode())
    again = database.provision(ours.schema)
    assert database.list_names() == [again.schema]
    assert database.exists(again.schema)
    database.drop(again.schema)
    assert not database.exists(again.schema)


def test_what_is_there_is_listed_and_found(database: DataDatabase, ours: Provisioned, theirs: Provisioned) -> None:
    assert database.list_names() == sorted([ours.schema, theirs.schema])
    assert database.exists(ours.schema)
    assert not database.exists(new_name())


def test_workspaces_of_another_data_database_on_the_same_server_are_not_listed(
    database: DataDatabase, as_superuser: psycopg.Connection
) -> None:
    name = new_name()
    as_superuser.execute(f"CREATE ROLE {name}".encode())
    try:
        assert name not in database.list_names()
    finally:
        as_superuser.execute(f"DROP ROLE {name}".encode())


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
