"""`make dev` in a folder of the tests' own."""

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dev.postgres import remove_database
from tests.dev.dev_process import Dev, RunDev


@contextmanager
def fresh_state() -> Iterator[Path]:
    """A state folder the database's account can reach, unlike pytest's own, which are private."""
    with tempfile.TemporaryDirectory() as above:
        Path(above).chmod(0o711)
        folder = Path(above) / "state"
        yield folder
        remove_database(folder)


@pytest.fixture
def state() -> Iterator[Path]:
    with fresh_state() as folder:
        yield folder


@pytest.fixture
def run(state: Path) -> Iterator[RunDev]:
    """Starts `Dev`, by default on `state`; whatever it started is gone when the test is over."""
    running: list[Dev] = []

    def start(folder: Path = state, **environment: str) -> Dev:
        running.append(Dev(folder, **environment))
        return running[-1]

    yield start
    for dev in running:
        if dev.process.poll() is None:
            dev.stop(signal.SIGTERM)


@pytest.fixture(scope="module")
def dev() -> Iterator[Dev]:
    """One that is up, for all tests of a file that leave it as it is."""
    with fresh_state() as folder:
        started = Dev(folder)
        try:
            started.wait_until_up()
            yield started
        finally:
            if started.process.poll() is None:
                started.stop(signal.SIGTERM)
