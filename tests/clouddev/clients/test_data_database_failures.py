"""The data database: names that are refused, addresses that don't work, secrets that stay secret."""

import logging
from collections.abc import Callable
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
)
from clouddev.names import database_name_of, is_database_name, new_fly_name
from dev.ports import free_port
from tests.clouddev.clients.postgres_relay import PostgresRelay
from tests.clouddev.data_databases import new_name

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


@pytest.mark.parametrize("name", FOREIGN_NAMES)
def test_names_that_are_not_ours_are_refused_before_anything_is_asked(name: str) -> None:
    nowhere = DataDatabase(url=f"postgresql://admin:x@127.0.0.1:{free_port()}/data")
    for verb in (nowhere.provision, nowhere.drop, nowhere.exists):
        with pytest.raises(ForeignName):
            verb(name)


def test_every_name_of_a_machine_is_a_name_of_a_workspace() -> None:
    assert all(is_database_name(database_name_of(new_fly_name())) for _ in range(100))


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


def test_the_server_that_may_log_statements_is_never_told_a_password(data_url: str, database: DataDatabase) -> None:
    with PostgresRelay(data_url) as relay:
        provisioned = DataDatabase(url=relay.url).provision(new_name())
    password = urlsplit(provisioned.url).password
    assert password
    assert b"SCRAM-SHA-256$4096:" in relay.sent
    assert password.encode() not in relay.sent
