"""`manage.py worker`: do the jobs, until told to stop."""

import asyncio
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from core import job_worker
from core.queues import BUILDS, CRON, CRON_AT_ONCE, MACHINES, SHORT

_SHORT_AT_ONCE = 3


class Command(BaseCommand):
    """Runs jobs: WORKER_CONCURRENCY builds and as many machines at once, and whatever is short beside them."""

    help = "Do the jobs: builds, and the upkeep that is due every few seconds. SIGTERM hands running builds over."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Work until SIGTERM or SIGINT."""
        slots = {
            BUILDS: settings.WORKER_CONCURRENCY,
            MACHINES: settings.WORKER_CONCURRENCY,
            CRON: CRON_AT_ONCE,
            SHORT: _SHORT_AT_ONCE,
        }
        asyncio.run(job_worker.serve(slots))
