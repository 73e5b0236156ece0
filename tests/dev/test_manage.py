"""`make manage`: one command on the development database, beside `make dev` or without it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest

from dev import clean
from dev.ports import free_port
from dev.postgres import EmbeddedPostgres
from tests.dev.dev_process import KEPT_VARIABLES, ROOT

ASK = "from django.db import connection as c; c.ensure_connection(); print(c.settings_dict['PORT'], c.introspection)"


def manage(state: Path, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    ports = {"PORT": str(free_port()), "SANDBOX_PORT": str(free_port())}
    return subprocess.run(
        [sys.executable, "-m", "dev.manage", *words],
        cwd=ROOT,
        env=kept | ports | {"DEV_STATE": str(state)} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_without_make_dev_it_serves_the_database_for_one_command(state: Path) -> None:
    done = manage(state, "shell", "--verbosity", "0", "-c", ASK)
    assert (done.returncode, "DatabaseIntrospection" in done.stdout) == (0, True), done.stderr
    with EmbeddedPostgres(state=state, fsync=False) as server:
        assert str(server.url).rpartition("/")[0].endswith(f":{done.stdout.split()[0]}"), "the folder is free again"


@pytest.mark.slow(14)
def test_beside_make_dev_it_uses_the_database_that_runs(state: Path) -> None:
    with EmbeddedPostgres(state=state, fsync=False) as server:
        done = manage(state, "shell", "--verbosity", "0", "-c", ASK)
        assert f":{done.stdout.split()[0]}/" in server.url, done.stderr
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,), "it runs on"


def test_a_failing_command_fails_it(state: Path) -> None:
    done = manage(state, "no_such_command", DATABASE_URL="postgres://a:b@127.0.0.1:9/c")
    assert (done.returncode, "Unknown command" in done.stderr) == (1, True)
    assert not (state / "postgres.json").exists(), "a database that is set is used"


def test_cleaning_deletes_databases_wherever_they_lie(state: Path, tmp_path: Path) -> None:
    outside = Path(tempfile.mkdtemp(prefix="crayon-postgres-"))
    bystander = tmp_path / "not-ours"
    bystander.mkdir()
    for name, home in (("dev", outside), ("test", bystander)):
        (state / name).mkdir(parents=True)
        (state / name / "postgres.json").write_text(f'{{"home": "{home}", "password": "x", "port": 1}}')
    clean.main(state)
    assert not outside.exists()
    assert bystander.exists()
    assert list(state.rglob("postgres.json")) == []
