"""Rows that are read by hand."""

import psycopg
import pytest
from django.db import connection

from core.database import fetch_row

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("prepared", "count"), [(True, 1), (False, 0)])
def test_statements_are_prepared_unless_the_setting_says_no(settings, prepared, count):
    settings.DATABASE_PREPARED_STATEMENTS = prepared
    name = f"marker{count}"
    for number in range(3):
        assert fetch_row(f"SELECT %s::int AS {name}", [number]) == (number,)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE %s", [f"%{name}%"])
        assert cursor.fetchone() == (count,)


@pytest.mark.django_db(transaction=True)
def test_a_column_that_a_migration_changes_meanwhile_is_read_on():
    parts = connection.settings_dict
    with psycopg.connect(
        user=parts["USER"], password=parts["PASSWORD"], host=parts["HOST"], port=parts["PORT"], dbname=parts["NAME"]
    ) as migration:
        migration.autocommit = True
        migration.execute("CREATE TABLE changing AS SELECT 'x'::varchar(5) AS value")
        try:
            assert fetch_row("SELECT value FROM changing", []) == ("x",)
            migration.execute("ALTER TABLE changing ALTER value TYPE varchar(9)")
            assert fetch_row("SELECT value FROM changing", []) == ("x",)
        finally:
            migration.execute("DROP TABLE changing")


def test_a_token_opens_the_api_without_prepared_statements_too(settings, alice_api, sandbox):
    settings.DATABASE_PREPARED_STATEMENTS = False
    assert alice_api.get("/api/integrations").status_code == 200


def test_no_row_is_none(settings):
    for settings.DATABASE_PREPARED_STATEMENTS in (True, False):
        assert fetch_row("SELECT 1 WHERE %s", [False]) is None
