"""flyctl doesn't outlive the worker that ran it, however that one ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fly.clients.flyctl import Order
from tests.fly.clients.conftest import TOKEN, Program
from tests.fly.clients.running import processes_in, wait_until

_ROOT = Path(__file__).resolve().parents[3]
_WORKER = """
import sys
from pathlib import Path
import dev.pytest_environment
import django
from django.conf import settings
django.setup()
settings.FLYCTL = sys.argv[2]
from fly.clients import flyctl
folder = Path(sys.argv[1])
order = flyctl.Order(app="crayon-a", folder=folder, context=folder / "context", config=folder / "fly.toml",
                     deploy_token=sys.argv[3], label="l")
limits = flyctl.Limits(total=60, silence=60, patience=float(sys.argv[4]))
outcome = flyctl.run(order, on_line=lambda line: print(line, flush=True), should_stop=lambda: None, limits=limits)
print(outcome.stopped, flush=True)
"""
_LONG = """
def tidy(*_):
    for at in range(3000):
        os.write(1, b"giving back a lease, which is said at some length so that no pipe can hold it all")
    open({mark!r}, "w").write("tidied")
    os._exit(127)
signal.signal(signal.SIGINT, tidy)
print("begun", flush=True)
while True:
    time.sleep(0.01)
    print("still at it", flush=True)
"""
_STUBBORN = """
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGPIPE, signal.SIG_IGN)
print("begun", flush=True)
time.sleep(60)
"""


@contextmanager
def _worker(order: Order, flyctl: str, *, patience: float = 20) -> Iterator[subprocess.Popen[str]]:
    """A worker process that has heard flyctl's first line."""
    with subprocess.Popen(
        [sys.executable, "-c", _WORKER, str(order.folder), flyctl, TOKEN, str(patience)],
        cwd=_ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            yield process
        finally:
            process.kill()


def _supervisor_of(process: subprocess.Popen[str]) -> int:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 1
    return int(children[0])


def test_a_killed_worker_takes_flyctl_and_the_folder_with_it(
    order: Order, program: Program, settings, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    program(_LONG.format(mark=str(mark)))
    with _worker(order, settings.FLYCTL) as worker:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        assert wait_until(lambda: processes_in(order.folder) == [])
    assert mark.read_text() == "tidied", "flyctl could not give back its leases"
    assert not order.folder.exists()


def test_not_even_a_stubborn_flyctl_outlives_a_killed_worker(order: Order, program: Program, settings) -> None:
    program(_STUBBORN)
    with _worker(order, settings.FLYCTL) as worker:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        assert wait_until(lambda: processes_in(order.folder) == [])
    assert not order.folder.exists()


def test_a_frozen_worker_loses_flyctl_and_knows_it_afterwards(
    order: Order, program: Program, settings, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    program(_LONG.format(mark=str(mark)))
    with _worker(order, settings.FLYCTL, patience=1.5) as worker:
        worker.send_signal(signal.SIGSTOP)
        try:
            assert wait_until(mark.exists)
            assert wait_until(lambda: not order.folder.exists())
        finally:
            worker.send_signal(signal.SIGCONT)
        assert worker.stdout is not None
        assert worker.stdout.read().splitlines()[-1] == "cut_off"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_flyctl_does_not_outlive_a_killed_supervisor(order: Order, program: Program, settings) -> None:
    program(_STUBBORN)
    with _worker(order, settings.FLYCTL) as worker:
        os.kill(_supervisor_of(worker), signal.SIGKILL)
        assert worker.stdout is not None
        assert worker.stdout.read() == "None\n"
        assert wait_until(lambda: processes_in(order.folder / "context") == [])


def test_a_supervisor_that_is_terminated_stops_flyctl_first(
    order: Order, program: Program, settings, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    program(_LONG.format(mark=str(mark)))
    with _worker(order, settings.FLYCTL) as worker:
        os.kill(_supervisor_of(worker), signal.SIGTERM)
        assert worker.stdout is not None
        assert worker.stdout.read().splitlines()[-1] == "None"
    assert mark.read_text() == "tidied"
