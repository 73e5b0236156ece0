"""A process that does jobs: each queue has slots of its own, so that none waits for another.

procrastinate's own command ends when the database goes away and serves one queue. This one starts over.
"""

import asyncio
import logging
import signal
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from procrastinate import PsycopgConnector
from procrastinate.contrib.django import app
from procrastinate.contrib.django.utils import connector_params
from procrastinate.exceptions import ConnectorException
from psycopg import AsyncConnection
from psycopg_pool import PoolTimeout

from core.database import require_live_connections
from core.queues import STALLED_SECONDS, stopping

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 2.0
_GRACE_SECONDS = 45
_POLL_SECONDS = 2.0
HEARTBEAT_SECONDS = 5.0
_SPARE_THREADS = 4
# A worker that is frozen within a transaction holds its locks, and all others wait for it: well before they may
# take its work over, PostgreSQL ends that transaction. Not a connection's option, which poolers refuse.
_BOUND = "SET idle_in_transaction_session_timeout = '15s'"


Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


class JobThreads(ThreadPoolExecutor):
    """Threads for jobs. Each keeps a connection; one that died since the job before is replaced before the next."""

    def submit(
        self, call: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Result]:
        """Have it called in one of the threads."""

        def with_live_connections() -> Result:
            require_live_connections()
            return call(*args, **kwargs)

        return super().submit(with_live_connections)


async def serve(queues: Mapping[str, int]) -> None:
    """Do the jobs of each queue, so many of it at once, until SIGTERM or SIGINT.

    Then `core.queues.stopping` is set, and jobs have 45 seconds to come to an end.
    """
    loop = asyncio.get_running_loop()
    loop.set_default_executor(JobThreads(sum(queues.values()) + _SPARE_THREADS, "job"))
    stopped = asyncio.Event()
    connection_created.connect(_bind)

    def stop() -> None:
        stopping.set()
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    while not stopped.is_set():
        await _until_stopped_or_failed(queues, stopped)
        if not stopped.is_set():
            logger.warning("the workers ended; starting them again in %s s", _PAUSE_SECONDS)
            await _wait(stopped, _PAUSE_SECONDS)


async def _until_stopped_or_failed(queues: Mapping[str, int], stopped: asyncio.Event) -> None:
    with app.replace_connector(PsycopgConnector(kwargs=connector_params(), configure=_bind_pooled)):
        try:
            async with app.open_async():
                await _work(queues, stopped)
        except (ConnectorException, DatabaseError, PoolTimeout, OSError) as error:
            logger.warning("the workers lost the database: %s", type(error).__name__)


def _bind(*, connection: BaseDatabaseWrapper, **_signal: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_BOUND)


async def _bind_pooled(connection: AsyncConnection[Any]) -> None:
    await connection.execute(_BOUND)
    await connection.commit()


async def _work(queues: Mapping[str, int], stopped: asyncio.Event) -> None:
    workers = [
        asyncio.create_task(
            app.run_worker_async(
                queues=[queue],
                name=queue,
                concurrency=concurrency,
                fetch_job_polling_interval=_POLL_SECONDS,
                shutdown_graceful_timeout=_GRACE_SECONDS,
                delete_jobs="successful",
                install_signal_handlers=False,
                update_heartbeat_interval=HEARTBEAT_SECONDS,
                stalled_worker_timeout=STALLED_SECONDS,
            )
        )
        for queue, concurrency in queues.items()
    ]
    end = asyncio.create_task(stopped.wait())
    # One that ended on its own lost the database; then all of them begin anew.
    await asyncio.wait([*workers, end], return_when=asyncio.FIRST_COMPLETED)
    for task in (*workers, end):
        task.cancel()
    for result in await asyncio.gather(*workers, return_exceptions=True):
        if isinstance(result, Exception):
            raise result


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
