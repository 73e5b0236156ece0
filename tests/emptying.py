"""Empties the database after a test that others' connections had to see, in milliseconds.

Django's own way is a TRUNCATE of every table, which the audit trail refuses, and then the signal that makes content
types and permissions anew. Here rows are deleted where there are any, and those two tables stay as they are.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.management.commands import flush
from django.db import OperationalError
from django.db.backends.postgresql.operations import DatabaseOperations
from psycopg.errors import DeadlockDetected

_KEPT = {"django_content_type", "auth_permission"}
# Its models are unmanaged, so Django leaves its tables as they are; in the order of their foreign keys, which are
# looked at at once.
_PROCRASTINATE = tuple(f"procrastinate_{name}" for name in ("events", "periodic_defers", "jobs", "workers"))
_AUDIT = "accounts_auditevent"
# What a DELETE leaves behind slows the tests that come later.
_TOO_LARGE_TO_DELETE_BYTES = 2_000_000
_ATTEMPTS = 4
_PAUSE_SECONDS, _MOST_PAUSES = 0.002, 5000
# Django's foreign keys are looked at on commit, so the order of its tables does not matter.
_EMPTY = """
DO $$
DECLARE
    tables text[] := ARRAY[{tables}];
    each text;
    filled boolean;
BEGIN
    -- A running server may be writing what nobody sees yet: TRUNCATE waits for it, DELETE would pass it over.
    FOR pause IN 1..{pauses} LOOP
        EXIT WHEN NOT EXISTS (
            SELECT FROM pg_locks WHERE relation = ANY(tables::regclass[]) AND mode = 'RowExclusiveLock'
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND pid <> pg_backend_pid()
        );
        PERFORM pg_sleep({pause});
    END LOOP;
    IF (SELECT max(pg_relation_size(each_table::regclass)) FROM unnest(tables) AS each_table) > {most} THEN
        ALTER TABLE {audit} DISABLE TRIGGER USER;
        EXECUTE 'TRUNCATE ' || array_to_string(tables, ', ');
        ALTER TABLE {audit} ENABLE TRIGGER USER;
        RETURN;
    END IF;
    FOREACH each IN ARRAY tables LOOP
        EXECUTE 'SELECT EXISTS (SELECT FROM ' || each || ')' INTO filled;
        CONTINUE WHEN NOT filled;
        IF each = '{audit}' THEN ALTER TABLE {audit} DISABLE TRIGGER USER; END IF;
        EXECUTE 'DELETE FROM ' || each;
        IF each = '{audit}' THEN ALTER TABLE {audit} ENABLE TRIGGER USER; END IF;
    END LOOP;
END
$$;
"""


@contextmanager
def by_deleting() -> Iterator[None]:
    """While this lasts, Django's flush empties the tables as told above."""
    plain_execution = DatabaseOperations.execute_sql_flush

    def sql_flush(self: DatabaseOperations, style: Any, tables: Any, **options: Any) -> list[str]:
        names = ", ".join(f"'{table}'" for table in (*sorted(set(tables) - _KEPT), *_PROCRASTINATE))
        numbers = {"most": _TOO_LARGE_TO_DELETE_BYTES, "pause": _PAUSE_SECONDS, "pauses": _MOST_PAUSES}
        return [_EMPTY.format(tables=names, audit=_AUDIT, **numbers)]

    def execute_sql_flush(self: DatabaseOperations, statements: list[str]) -> None:
        """A running server may still be at the test's last webhook: whoever then locks in another order tries again."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                plain_execution(self, statements)
            except OperationalError as error:
                if attempt == _ATTEMPTS or not isinstance(error.__cause__, DeadlockDetected):
                    raise
            else:
                return

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "sql_flush", sql_flush)
        patch.setattr(DatabaseOperations, "execute_sql_flush", execute_sql_flush)
        patch.setattr(flush, "emit_post_migrate_signal", lambda *args, **options: None)
        yield
