"""What a workspace's role sees of the others, and shares with them: that is known, and no more than that."""

from collections.abc import Iterator

import psycopg
import pytest

from clouddev.clients.data_database import Provisioned


@pytest.fixture
def us(ours: Provisioned) -> Iterator[psycopg.Connection]:
    with psycopg.connect(ours.url, autocommit=True) as connection:
        yield connection


def test_what_it_can_see_of_another_is_how_that_is_built(us: psycopg.Connection, theirs: Provisioned) -> None:
    """PostgreSQL shows that to everybody; docs/threat-model.md says so, and has to say more when this does."""
    with psycopg.connect(theirs.url, autocommit=True) as they:
        they.execute(
            "CREATE TABLE built (kind text DEFAULT 'a default'); INSERT INTO built SELECT FROM generate_series(1, 7)"
        )
        they.execute("CREATE VIEW seen AS SELECT 'a view' AS made_of; ANALYZE built")
        seen = {
            what: us.execute(statement.encode(), [theirs.schema]).fetchall()
            for what, statement in {
                "tables": "SELECT relname::text FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'r'"
                " ORDER BY relname",
                "columns": "SELECT attname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
                " WHERE c.relname = 'plans' AND a.attnum > 0 AND c.relnamespace = %s::regnamespace",
                "functions": "SELECT prosrc FROM pg_proc WHERE pronamespace = %s::regnamespace",
                "views": "SELECT pg_get_viewdef(oid) FROM pg_class"
                " WHERE relnamespace = %s::regnamespace AND relkind = 'v'",
                "defaults": "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef d JOIN pg_class c ON c.oid = d.adrelid"
                " WHERE c.relnamespace = %s::regnamespace",
                "rows": "SELECT reltuples FROM pg_class WHERE relname = 'built' AND relnamespace = %s::regnamespace",
                "sessions": "SELECT DISTINCT query FROM pg_stat_activity WHERE usename = %s",
                "values": "SELECT most_common_vals FROM pg_stats WHERE schemaname = %s",
            }.items()
        }
    assert seen == {
        "tables": [("built",), ("plans",)],
        "columns": [("secret_plan",)],
        "functions": [("SELECT 42",)],
        "views": [(" SELECT 'a view'::text AS made_of;",)],
        "defaults": [("'a default'::text",)],
        "rows": [(7,)],
        "sessions": [("<insufficient privilege>",)],
        "values": [],
    }


def test_advisory_locks_are_shared_by_all(us: psycopg.Connection, theirs: Provisioned) -> None:
    us.execute("SELECT pg_advisory_lock(72707369)")
    with psycopg.connect(theirs.url, autocommit=True) as they:
        assert they.execute("SELECT pg_try_advisory_lock(72707369)").fetchone() == (False,)
