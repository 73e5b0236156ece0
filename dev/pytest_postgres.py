"""A pytest plugin: the tests' own PostgreSQL, when DATABASE_URL names none.

Loaded with `-p dev.pytest_postgres`. The process the person started (not the parallel workers,
which inherit DATABASE_URL) starts the server before any settings are read, and stops it at the end.
TEST_CLUSTER_IS_OURS says that it is this one: what a run leaves there saves the next one time.
"""

import atexit
import os
from collections.abc import Generator
from pathlib import Path

import pytest

from dev.errors import DevelopmentError, FolderInUseError
from dev.postgres import EmbeddedPostgres
from dev.state import make_folder

_SLOTS = 64


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    """Start the database; as a wrapper this runs before pytest-django reads the settings."""
    if not os.environ.get("DATABASE_URL", "").strip() and "PYTEST_XDIST_WORKER" not in os.environ:
        _serve(early_config)
    return (yield)


def _serve(config: pytest.Config) -> None:
    folder = Path(os.environ.get("DEV_STATE") or config.rootpath / ".dev").absolute() / "test"
    try:
        server = _start_in_free_slot(folder)
    except DevelopmentError as error:
        raise pytest.UsageError(str(error)) from error

    def stop() -> None:
        os.environ.pop("DATABASE_URL", None)
        os.environ.pop("TEST_CLUSTER_IS_OURS", None)
        server.stop()

    os.environ |= {"DATABASE_URL": server.url, "TEST_CLUSTER_IS_OURS": "true"}
    # Runs after a failed collection and after Ctrl-C too; atexit is for errors before that point.
    config.add_cleanup(stop)
    atexit.register(server.stop)


def _start_in_free_slot(folder: Path) -> EmbeddedPostgres:
    """Start a server in the first folder no other test run is using.

    Clusters are kept for the next run, which saves their making. They are not durable, so one that
    no longer starts (after a power cut, or of a version that is gone) is made anew.
    """
    make_folder(folder.parent, private=os.geteuid() != 0)
    make_folder(folder, private=os.geteuid() != 0)
    for number in range(_SLOTS):
        server = EmbeddedPostgres(state=folder / str(number), fsync=False)
        try:
            try:
                server.start()
            except FolderInUseError:
                raise
            except DevelopmentError:
                server.start(afresh=True)
        except FolderInUseError:
            continue
        return server
    message = f"{_SLOTS} test runs seem to be using {folder}; set DEV_STATE to another folder."
    raise DevelopmentError(message)
