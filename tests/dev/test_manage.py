"""`make manage` without `make dev`, and `make clean`."""

import tempfile
from pathlib import Path

import pytest

from dev import clean
from dev.ports import free_port
from dev.postgres import EmbeddedPostgres
from tests.dev.dev_process import manage

ASK = "from django.db import connection as c; c.ensure_connection(); print(c.settings_dict['PORT'], c.introspection)"


@pytest.mark.slow(10)
def test_it_serves_the_database_for_one_command(state: Path) -> None:
    process = manage(state, "shell", "--verbosity", "0", "-c", ASK)
    said, _ = process.communicate(timeout=60)
    assert (process.returncode, "DatabaseIntrospection" in said) == (0, True), said
    with EmbeddedPostgres(state=state, fsync=False) as server:
        assert server.url.rpartition("/")[0].endswith(f":{said.split()[0]}"), "the folder is free again"


def test_a_failing_command_fails_it(state: Path) -> None:
    process = manage(state, "no_such_command", DATABASE_URL="postgres://a:b@127.0.0.1:9/c", PORT=str(free_port()))
    said, _ = process.communicate(timeout=60)
    assert (process.returncode, "Unknown command" in said) == (1, True)
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
