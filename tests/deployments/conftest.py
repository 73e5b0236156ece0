"""The ground on which workers build, and die."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from tests.deployments.worker_harness import WorkGround
from tests.gunicorn_process import GunicornProcess
from tests.job_worker_process import Ground, Nursery
from tests.sandbox_process import SandboxProcess


@pytest.fixture(scope="session")
def ground_of_worker(
    django_db_setup: None,
    django_db_blocker: Any,
    sandbox_of_worker: SandboxProcess,
    tmp_path_factory: pytest.TempPathFactory,
) -> Ground:
    with django_db_blocker.unblock():
        return Ground(sandbox_of_worker, tmp_path_factory.mktemp("ground"))


@pytest.fixture(scope="session")
def nursery_of_worker(ground_of_worker: Ground) -> Iterator[Nursery]:
    nursery = Nursery(ground_of_worker)
    yield nursery
    nursery.close()


@pytest.fixture(scope="session")
def running_push_server(ground_of_worker: Ground, sandbox_of_worker: SandboxProcess) -> Iterator[GunicornProcess]:
    """A server that stores archives where the workers find them, started once."""
    environment = {"STORAGE_FOLDER": str(ground_of_worker.storage)}
    with GunicornProcess(sandbox=sandbox_of_worker, environment=environment) as server:
        yield server


@pytest.fixture
def work(
    transactional_db: None,
    sandbox: SandboxProcess,
    ground_of_worker: Ground,
    nursery_of_worker: Nursery,
    settings: Any,
) -> Iterator[WorkGround]:
    """No jobs, no archives, no folders; this process has the workers' settings too, and Fly's machines hurry."""
    settings.BUILD_FOLDER, settings.FLYCTL = ground_of_worker.builds, str(ground_of_worker.flyctl)
    usual = settings.STORAGES["default"]
    options = {**usual.get("OPTIONS", {}), "location": str(ground_of_worker.storage)}
    settings.STORAGES = {**settings.STORAGES, "default": {**usual, "OPTIONS": options}}
    # Django leaves these tables alone between tests.
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs, procrastinate_workers, procrastinate_periodic_defers CASCADE")
    ground_of_worker.clear()
    sandbox.fly_clock(factor=1_000_000)
    yield WorkGround(ground_of_worker, nursery_of_worker, sandbox)
    nursery_of_worker.kill_all()
