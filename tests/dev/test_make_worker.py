"""`make worker`: one more worker for the `make dev` of the same state folder, whatever ports that has."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from dev.default_env import server_environment
from dev.errors import DevelopmentError
from dev.options import Options
from dev.postgres import address_of_running
from dev.running_instance import noted, with_noted
from dev.state import FolderLock
from tests.dev.dev_process import KEPT_VARIABLES, ROOT, Dev, RunDev
from tests.dev.newcomer import Browser, CommandLine
from tests.dev.test_a_newcomers_day import deploy_an_app

pytestmark = pytest.mark.timeout(180)
ASK = "from django.conf import settings as s; print(s.FLY_API_URL, s.PUBLIC_URL, s.DATABASES['default']['PORT'])"


def command(state: Path, *words: str, **given: str) -> "subprocess.Popen[str]":
    """Start one of manage.py's, told nothing but the state folder."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-m", "dev.manage", *words],
        cwd=ROOT,
        env=kept | {"DEV_STATE": str(state)} | given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def settings_of(state: Path, **given: str) -> list[str]:
    """Fly's address, our own, and the database's port, as a command beside `make dev` has them."""
    said, _ = command(state, "shell", "--verbosity", "0", "-c", ASK, **given).communicate(timeout=60)
    return said.split()


@contextmanager
def another_worker(dev: Dev) -> Iterator[None]:
    """`make worker`, ready for jobs, while the worker of `make dev` is frozen and takes none."""
    own = dev.running("worker")
    ready = workers_ready(dev)
    process = command(dev.state, "worker")
    try:
        until = time.monotonic() + 40
        while workers_ready(dev) < 2 * ready:
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.1)
        for pid in own:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in own:
            os.kill(pid, signal.SIGCONT)
        # As Ctrl-C does in a terminal.
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=50)


def workers_ready(dev: Dev) -> int:
    with psycopg.connect(address_of_running(dev.state)) as connection:
        ((count,),) = connection.execute("SELECT count(*) FROM procrastinate_workers").fetchall()
    return int(count)


@pytest.mark.slow(20)
def test_it_builds_for_the_make_dev_of_its_folder_on_other_ports(run: RunDev, tmp_path: Path) -> None:
    dev = run()
    dev.wait_until_up()
    cli = CommandLine(dev.url)
    cli.log_in(Browser(), "alice")
    while workers_ready(dev) == 0:
        time.sleep(0.1)
    with another_worker(dev):
        deploy_an_app(cli, tmp_path / "shop")


@pytest.mark.slow(20)
def test_other_commands_have_its_addresses_too_unless_they_are_told_otherwise(run: RunDev, state: Path) -> None:
    dev = run()
    dev.wait_until_up()
    port = address_of_running(state).rpartition("/")[0].rpartition(":")[2]
    assert settings_of(state) == [f"http://127.0.0.1:{dev.sandbox_port}/fly", dev.url, port]
    told = settings_of(state, PORT="3100", SANDBOX_PORT="3101")
    assert told == ["http://127.0.0.1:3101/fly", "http://localhost:3100", port]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A state folder that is in use."""
    with FolderLock(tmp_path / "dev.lock"):
        yield tmp_path


def options(folder: Path) -> Options:
    return Options.read({"DEV_STATE": str(folder), "PORT": "3100", "SANDBOX_PORT": "3101"})


@pytest.mark.parametrize("name", ["DATABASE_URL", "DATABASE_URL_FILE", "PUBLIC_URL"])
def test_what_was_given_to_make_dev_is_for_the_others_too(folder: Path, name: str) -> None:
    with noted(options(folder), {name: "mine"}):
        assert (folder / "running.json").stat().st_mode & 0o777 == 0o600
        assert with_noted({"DEV_STATE": str(folder)})[name] == "mine"


@pytest.mark.parametrize("name", ["DATABASE_URL", "DATABASE_URL_FILE"])
def test_whoever_names_a_database_in_either_way_gets_that_one_alone(folder: Path, name: str) -> None:
    given = {"DEV_STATE": str(folder), name: "theirs"}
    with noted(options(folder), {"DATABASE_URL": "mine"}):
        found = with_noted(given)
    assert found == {**given, "PORT": "3100", "SANDBOX_PORT": "3101"}


def test_what_a_killed_make_dev_has_noted_counts_no_more(tmp_path: Path) -> None:
    given = {"DEV_STATE": str(tmp_path)}
    (tmp_path / "running.json").write_text(json.dumps({"DATABASE_URL": "mine"}))
    assert with_noted(given) == given
    (tmp_path / "dev.lock").touch()
    assert with_noted(given) == given


def test_a_damaged_note_is_named(folder: Path) -> None:
    (folder / "running.json").write_text("[")
    with pytest.raises(DevelopmentError, match=f"{folder}/running.json is damaged"):
        with_noted({"DEV_STATE": str(folder)})


REAL = {
    "NANGO_SERVER_URL": "https://nango.example.com",
    "NANGO_SECRET_KEY": "11111111-1111-4111-8111-111111111111",
    "NANGO_CONNECT_API_URL": "https://nango.example.com",
}


@pytest.mark.parametrize("given", [{}, {"NANGO_SERVER_URL": REAL["NANGO_SERVER_URL"]}, REAL])
def test_beside_a_make_dev_on_a_nango_of_ones_own_that_one_is_used_whole(folder: Path, given: dict[str, str]) -> None:
    with noted(options(folder), REAL):
        found = with_noted({"DEV_STATE": str(folder), **given})
        environment = server_environment(Options.read(found), found)
    assert {name: environment[name] for name in REAL} == REAL
    assert "NANGO_WEBHOOK_SIGNING_KEY" not in environment, "the sandbox's is of no use there"


@pytest.mark.parametrize(
    ("running", "given"),
    [
        ({}, REAL),
        ({}, {"NANGO_SECRET_KEY": REAL["NANGO_SECRET_KEY"]}),
        (REAL, {**REAL, "NANGO_SERVER_URL": "https://other.example.com"}),
        (REAL, {"NANGO_SECRET_KEY_FILE": "/run/secrets/key"}),
        ({}, {"FLY_API_TOKEN": "not-a-secret"}),
        ({}, {"GITHUB_CLIENT_ID": "not-ours"}),
    ],
)
def test_another_nango_than_that_of_make_dev_is_refused(
    folder: Path, running: dict[str, str], given: dict[str, str]
) -> None:
    with noted(options(folder), running), pytest.raises(DevelopmentError, match="runs on another") as refused:
        with_noted({"DEV_STATE": str(folder), **given})
    assert not any(value in str(refused.value) for value in given.values())
