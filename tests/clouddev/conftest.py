"""A data database for each test worker, and the ground on which workers make machines, and die."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import settings as django_settings

from clouddev.clients.data_database import DataDatabase
from tests.clouddev.data_databases import data_database, superuser_url
from tests.clouddev.worker_harness import Workshop
from tests.gunicorn_process import GunicornProcess
from tests.job_worker_process import Ground, Nursery
from tests.sandbox_process import SandboxProcess


@pytest.fixture(scope="session")
def data_url() -> Iterator[str]:
    with data_database() as url:
        yield url


@pytest.fixture
def as_superuser(data_url: str) -> Iterator[psycopg.Connection]:
    """Looks at the data database and past all rights."""
    with psycopg.connect(superuser_url(urlsplit(data_url).path[1:]), autocommit=True) as connection:
        yield connection


@pytest.fixture
def leftovers(as_superuser: psycopg.Connection) -> Callable[[str], dict[str, int]]:
    """What the catalogs know of a workspace, by kind."""

    def count(name: str) -> dict[str, int]:
        queries = {
            "roles": "SELECT count(*) FROM pg_roles WHERE rolname = %s",
            "schemas": "SELECT count(*) FROM pg_namespace WHERE nspname ~ ('^' || %s)",
            "sessions": "SELECT count(*) FROM pg_stat_activity WHERE usename = %s",
            "rights": "SELECT count(*) FROM pg_database WHERE datname = current_database()"
            " AND datacl::text LIKE '%%' || %s || '%%'",
            "unknown rights": "SELECT count(*) FROM pg_database, aclexplode(datacl) WHERE %s <> ''"
            " AND datname = current_database() AND grantee <> 0"
            " AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = grantee)",
        }
        rows = {kind: as_superuser.execute(query, [name]).fetchone() for kind, query in queries.items()}
        return {kind: row[0] for kind, row in rows.items() if row and row[0]}

    return count


@pytest.fixture(scope="session")
def machine_ground(
    django_db_setup: None,
    django_db_blocker: Any,
    sandbox_of_worker: SandboxProcess,
    data_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Ground:
    with django_db_blocker.unblock():
        ground = Ground(sandbox_of_worker, tmp_path_factory.mktemp("machines"))
    ground.environment |= {
        "DATABASE_DATA_URL": data_url,
        "DEV_UI_JWT_PRIVATE_KEY": django_settings.DEV_UI_JWT_PRIVATE_KEY,
        "FLY_REGION": "iad",
    }
    return ground


@pytest.fixture(scope="session")
def machine_nursery(machine_ground: Ground) -> Iterator[Nursery]:
    nursery = Nursery(machine_ground)
    yield nursery
    nursery.close()


@pytest.fixture(scope="session")
def running_machine_server(machine_ground: Ground, sandbox_of_worker: SandboxProcess) -> Iterator[GunicornProcess]:
    """A server that can make machines, started once."""
    names = ("DATABASE_DATA_URL", "DEV_UI_JWT_PRIVATE_KEY", "FLY_REGION")
    environment = {name: machine_ground.environment[name] for name in names}
    with GunicornProcess(sandbox=sandbox_of_worker, environment=environment) as server:
        yield server


@pytest.fixture
def machine_server(workshop: Workshop, running_machine_server: GunicornProcess) -> GunicornProcess:
    """The same, with nothing cached or counted yet."""
    running_machine_server.restart_workers()
    return running_machine_server


@pytest.fixture
def workshop(
    transactional_db: None,
    sandbox: SandboxProcess,
    data_url: str,
    leftovers: Callable[[str], dict[str, int]],
    settings: Any,
) -> Iterator[Workshop]:
    """Nothing in the data database, and Fly's machines hurry."""
    settings.DATABASE_DATA_URL, settings.FLY_REGION, settings.PUBLIC_URL = data_url, "iad", "http://localhost"
    sandbox.fly_clock(factor=1_000_000)
    yield Workshop(sandbox, leftovers)
    database = DataDatabase(url=data_url)
    for name in database.list_names():
        database.drop(name)


@pytest.fixture
def workers(workshop: Workshop, machine_nursery: Nursery) -> Iterator[Nursery]:
    """Workers that die when told to."""
    yield machine_nursery
    machine_nursery.kill_all()
