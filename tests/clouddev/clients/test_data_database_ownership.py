"""Dropping a workspace never gives anything that it wrote to a role that may do more, on any PostgreSQL."""

import itertools
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from clouddev.clients.data_database import DataDatabase, Provisioned
from dev.postgres import EmbeddedPostgres, available
from tests.clouddev.data_databases import data_database, new_name, query, run, superuser_url
from tests.clouddev.written_by_workspaces import WRITTEN

# What belongs to a role, by kind; members of extensions count, and extensions and their languages don't.
_OWNED = " UNION ALL ".join(
    f"SELECT '{table}', {name}::text FROM {table} WHERE pg_get_userbyid({owner}) = '{{role}}'"
    for table, name, owner in (
        ("pg_proc", "oid::regprocedure", "proowner"),
        ("pg_class", "oid::regclass", "relowner"),
        ("pg_rewrite", "oid", "(SELECT relowner FROM pg_class WHERE oid = ev_class)"),
        ("pg_trigger", "oid", "(SELECT relowner FROM pg_class WHERE oid = tgrelid)"),
        ("pg_operator", "oid::regoperator", "oprowner"),
        ("pg_type", "oid::regtype", "typowner"),
        ("pg_collation", "oid::regcollation", "collowner"),
        ("pg_conversion", "oid", "conowner"),
        ("pg_ts_config", "oid::regconfig", "cfgowner"),
        ("pg_ts_dict", "oid::regdictionary", "dictowner"),
        ("pg_namespace", "nspname", "nspowner"),
        ("pg_statistic_ext", "stxname", "stxowner"),
        ("pg_publication", "pubname", "pubowner"),
        ("pg_foreign_server", "srvname", "srvowner"),
        ("pg_foreign_data_wrapper", "fdwname", "fdwowner"),
        ("pg_event_trigger", "evtname", "evtowner"),
        ("pg_largeobject_metadata", "oid", "lomowner"),
        ("pg_opclass", "opcname", "opcowner"),
        ("pg_opfamily", "opfname", "opfowner"),
        ("pg_default_acl", "oid", "defaclrole"),
    )
)

_MAJORS = dict(reversed(list(available())))


def _has_extensions(folder: Path) -> bool:
    """Whether the server of these binaries comes with extensions that workspaces may install."""
    shared = subprocess.run([folder / "pg_config", "--sharedir"], capture_output=True, text=True, check=True).stdout
    return (Path(shared.strip()) / "extension" / "citext.control").exists()


on_servers_with_extensions = pytest.mark.parametrize(
    "server", sorted(major for major, folder in _MAJORS.items() if _has_extensions(folder)), indirect=True
)


@pytest.fixture(scope="module", params=sorted(_MAJORS))
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """A superuser's address of a server of each version that this machine has."""
    with tempfile.TemporaryDirectory() as above:
        Path(above).chmod(0o711)
        with EmbeddedPostgres(state=Path(above) / "state", fsync=False, major=request.param) as running:
            yield running.url


@pytest.fixture
def url(server: str) -> Iterator[str]:
    with data_database(server) as url:
        yield url


@pytest.fixture
def database(url: str) -> DataDatabase:
    return DataDatabase(url=url)


@pytest.fixture
def charlie(database: DataDatabase) -> Provisioned:
    """The workspace that is dropped."""
    return database.provision(new_name())


@pytest.fixture
def alice(database: DataDatabase, charlie: Provisioned) -> Provisioned:
    """Another one, in which charlie may make things."""
    alice = database.provision(new_name())
    run(
        alice.url,
        "CREATE TABLE kept (id int, words text)",
        "INSERT INTO kept VALUES (1, 'buy a boat')",
        f"GRANT USAGE, CREATE ON SCHEMA {alice.schema} TO {charlie.schema}",
        f"GRANT TRIGGER, REFERENCES ON kept TO {charlie.schema}",
    )
    return alice


@pytest.fixture
def as_superuser(server: str, url: str) -> str:
    """A superuser's address of the data database."""
    return superuser_url(urlsplit(url).path[1:], server=server)


def owned_by_admin(url: str, *, database: str = "") -> list[Any]:
    """What the admin of this URL owns in its database, or in another one."""
    return query(database or url, _OWNED.format(role=urlsplit(url).username))


@pytest.fixture
def extension(server: str, alice: Provisioned, charlie: Provisioned) -> str:
    """One that charlie has made and alice uses, so that it stays; empty where the server has none."""
    if not query(server, "SELECT FROM pg_available_extension_versions WHERE trusted AND name = 'citext'"):
        return ""
    run(charlie.url, f"CREATE EXTENSION citext SCHEMA {alice.schema}")
    run(alice.url, f"ALTER TABLE kept ADD COLUMN mail {alice.schema}.citext DEFAULT 'Alice@Example'")
    return "citext"


def test_a_function_left_in_anothers_schema_does_not_become_the_admins(
    database: DataDatabase, url: str, alice: Provisioned, charlie: Provisioned
) -> None:
    """The whole way of the attack: a view of alice's keeps charlie's function, which makes its caller admin."""
    run(
        charlie.url,
        "ALTER DEFAULT PRIVILEGES GRANT ALL ON ROUTINES TO PUBLIC",
        f"CREATE FUNCTION {alice.schema}.rise(role text) RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS"
        " $$BEGIN EXECUTE format('ALTER ROLE %I CREATEROLE', role); RETURN 1; END$$",
    )
    run(alice.url, f"CREATE VIEW risen AS SELECT {alice.schema}.rise('{alice.schema}')")

    assert database.drop(charlie.schema) is True

    with pytest.raises(psycopg.errors.UndefinedTable):
        query(alice.url, "SELECT * FROM risen")
    with pytest.raises(psycopg.errors.UndefinedFunction):
        query(alice.url, f"SELECT {alice.schema}.rise('{alice.schema}')")
    assert query(alice.url, "SELECT rolcreaterole FROM pg_roles WHERE rolname = CURRENT_USER") == [(False,)]
    assert query(alice.url, "SELECT words FROM kept") == [("buy a boat",)]
    assert owned_by_admin(url) == []
    assert database.list_names() == [alice.schema]


def test_nothing_that_it_wrote_becomes_the_admins(
    database: DataDatabase, url: str, alice: Provisioned, charlie: Provisioned, as_superuser: str, extension: str
) -> None:
    """Each kind in a schema of alice's own, with something of hers standing on it."""
    everybody = "".join(f"ALTER DEFAULT PRIVILEGES GRANT ALL ON {kind} TO PUBLIC;" for kind in ("ROUTINES", "TYPES"))
    run(charlie.url, everybody + "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC")
    for number, (theirs, ours) in enumerate(WRITTEN.values()):
        names = {"me": charlie.schema, "they": f"place{number}"}
        run(
            alice.url,
            "CREATE SCHEMA {they}; GRANT ALL ON SCHEMA {they} TO {me}".format(**names),
            "CREATE TABLE {they}.kept AS SELECT 1 AS id, 'buy a boat' AS words".format(**names),
            "GRANT TRIGGER ON {they}.kept TO {me}".format(**names),
        )
        run(charlie.url, theirs.format(**names))
        run(alice.url, "SET search_path = {they}; ".format(**names) + ours.format(**names))
    assert len(query(as_superuser, _OWNED.format(role=charlie.schema))) > len(WRITTEN)

    assert database.drop(charlie.schema) is True

    assert owned_by_admin(url) == []
    for number in range(len(WRITTEN)):
        assert query(as_superuser, f"SELECT words FROM place{number}.kept") == [("buy a boat",)]
    assert query(as_superuser, f"SELECT FROM pg_roles WHERE rolname = '{charlie.schema}'") == []
    assert database.list_names() == [alice.schema]


@on_servers_with_extensions
@pytest.mark.parametrize("kind", ["routine", "table", "schema", "type", "operator"])
def test_what_it_added_to_an_extension_is_dropped_and_the_extension_stays(
    database: DataDatabase, url: str, alice: Provisioned, charlie: Provisioned, extension: str, kind: str
) -> None:
    they = alice.schema
    made, added = {
        "routine": (f"FUNCTION {they}.f() RETURNS int SECURITY DEFINER LANGUAGE sql AS 'SELECT 1'", "FUNCTION {}.f()"),
        "table": (f"TABLE {they}.f (id serial PRIMARY KEY)", "TABLE {}.f"),
        "schema": ("SCHEMA f", "SCHEMA f"),
        "type": (f"TYPE {they}.f AS ENUM ()", "TYPE {}.f"),
        "operator": (
            f"OPERATOR {they}.@@@ (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl)",
            "OPERATOR {}.@@@ (int, int)",
        ),
    }[kind]
    run(charlie.url, f"CREATE {made}", f"ALTER EXTENSION citext ADD {added.format(they)}")

    assert database.drop(charlie.schema) is True

    assert owned_by_admin(url) == []
    admin = urlsplit(url).username
    assert query(url, "SELECT pg_get_userbyid(extowner) FROM pg_extension WHERE extname = 'citext'") == [(admin,)]
    assert query(alice.url, "SELECT mail = 'alice@example' FROM kept") == [(True,)]


@on_servers_with_extensions
def test_an_extension_that_nobody_uses_goes_with_whoever_made_it(
    database: DataDatabase, url: str, charlie: Provisioned, extension: str
) -> None:
    run(charlie.url, "CREATE EXTENSION hstore SCHEMA public")
    database.drop(charlie.schema)
    assert query(url, "SELECT extname FROM pg_extension WHERE extname IN ('hstore', 'citext')") == [("citext",)]


def test_what_an_accomplice_makes_for_it_meanwhile_does_not_become_the_admins(
    database: DataDatabase, url: str, alice: Provisioned, charlie: Provisioned, extension: str
) -> None:
    """Alice's sessions call a function of charlie's, again and again, that makes another one like it."""
    body = f"CREATE OR REPLACE FUNCTION {alice.schema}.f%s() RETURNS int SECURITY DEFINER LANGUAGE sql AS ''SELECT 1''"
    run(
        charlie.url,
        "ALTER DEFAULT PRIVILEGES GRANT ALL ON ROUTINES TO PUBLIC",
        f"CREATE FUNCTION {alice.schema}.again(n int) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS"
        f" $f$BEGIN EXECUTE format('{body}', n); END$f$",
    )
    stop, busy = threading.Event(), threading.Event()

    def go_on() -> None:
        with psycopg.connect(alice.url, autocommit=True) as connection:
            for number in itertools.count():
                try:
                    connection.execute(f"SELECT again({number})".encode())
                except psycopg.Error:
                    return
                busy.set()
                if stop.is_set():
                    return

    with ThreadPoolExecutor(1) as pool:
        accomplice = pool.submit(go_on)
        busy.wait(10)
        try:
            database.drop(charlie.schema)
        finally:
            stop.set()
        accomplice.result()
    assert owned_by_admin(url) == []


def test_what_it_made_in_another_database_of_the_server_is_dropped_there_too(
    database: DataDatabase, url: str, server: str, alice: Provisioned, charlie: Provisioned
) -> None:
    """One where everybody may create, as those are that PostgreSQL 14 made."""
    other = f"other_{alice.schema[-8:]}"
    there = superuser_url(other, server=server)
    run(superuser_url(server=server), f"CREATE DATABASE {other}")
    try:
        run(there, "GRANT ALL ON SCHEMA public TO PUBLIC", f"GRANT CREATE ON DATABASE {other} TO PUBLIC")
        ours, theirs = (urlsplit(each.url)._replace(path=f"/{other}").geturl() for each in (alice, charlie))
        made = "FUNCTION public.f() RETURNS int SECURITY DEFINER LANGUAGE sql AS 'SELECT 1'"
        run(
            theirs,
            f"CREATE {made}",
            "GRANT ALL ON FUNCTION public.f() TO PUBLIC",
            "CREATE SCHEMA t; CREATE TABLE t.t (id serial)",
        )
        run(ours, "CREATE VIEW public.v AS SELECT public.f()")

        assert database.drop(charlie.schema) is True

        assert owned_by_admin(url, database=there) == []
        assert query(there, "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace") == []
    finally:
        run(superuser_url(server=server), f"DROP DATABASE {other} WITH (FORCE)")


def test_an_admin_that_is_the_first_superuser_gets_nothing_either(
    as_superuser: str, alice: Provisioned, charlie: Provisioned, extension: str
) -> None:
    """What is that role's is written down nowhere but at the thing itself."""
    made = "f() RETURNS int SECURITY DEFINER LANGUAGE sql AS 'SELECT 1'"
    run(charlie.url, f"CREATE FUNCTION {alice.schema}.{made}", f"GRANT ALL ON FUNCTION {alice.schema}.f() TO PUBLIC")
    run(alice.url, f"CREATE VIEW v AS SELECT {alice.schema}.f()")
    assert DataDatabase(url=as_superuser).drop(charlie.schema) is True
    assert query(as_superuser, "SELECT oid::regprocedure FROM pg_proc WHERE proname = 'f'") == []
    assert query(alice.url, "SELECT words FROM kept") == [("buy a boat",)]


def test_a_database_of_its_own_goes_with_all_that_is_in_it(server: str) -> None:
    with data_database(server, more="CREATEDB") as url:
        database = DataDatabase(url=url)
        charlie = database.provision(new_name())
        made = "f() RETURNS int SECURITY DEFINER LANGUAGE sql AS 'SELECT 1'"
        run(
            charlie.url,
            f"CREATE FUNCTION {made}",
            "CREATE VIEW v AS SELECT f()",
            "CREATE SCHEMA auth",
            "SELECT lo_create(0)",
        )
        superuser = superuser_url(charlie.schema, server=server)
        assert owned_by_admin(url, database=superuser) == []
        assert database.drop(charlie.schema) is True
        assert owned_by_admin(url) == []
        left = f"SELECT FROM pg_roles WHERE rolname = '{charlie.schema}' UNION ALL"
        assert query(url, f"{left} SELECT FROM pg_database WHERE datname = '{charlie.schema}'") == []
        assert database.list_names() == []
