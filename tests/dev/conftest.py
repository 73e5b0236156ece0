"""`make dev` in a folder of the test's own."""

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.cluster import Cluster
from tests.dev.dev_process import Dev, RunDev


@pytest.fixture
def state() -> Iterator[Path]:
    """A state folder the database's account can reach, unlike pytest's own, which are private."""
    with tempfile.TemporaryDirectory() as above:
        Path(above).chmod(0o711)
        folder = Path(above) / "state"
        yield folder
        Cluster.remove(folder)


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
