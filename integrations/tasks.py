"""What workers do for integrations."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone
from procrastinate.contrib.django import app

from core.database import outlast_restarts
from core.errors import Unavailable
from core.queues import SHORT, defer
from integrations.services import tombstones, use_log
from integrations.services.connect_links import forget_old
from integrations.services.reconciliation import RECONCILE, reconcile_connections
from integrations.services.unfinished import finish_left_behind


@app.periodic(cron="23 * * * *")
@app.task(name=RECONCILE, queue=SHORT, queueing_lock=RECONCILE)
def reconcile(timestamp: int = 0) -> None:  # noqa: ARG001 - procrastinate tells when it was due
    """Bring our record of connections in line with Nango's, every hour, where there is one.

    While Nango takes no more calls it comes again as soon as Nango says, instead of an hour later.
    """
    if not settings.NANGO_SECRET_KEY:
        return
    try:
        outlast_restarts(lambda: reconcile_connections(now=timezone.now()))
    except Unavailable as error:
        if not error.retry_after:
            raise
        defer(RECONCILE, queue=SHORT, lock=RECONCILE, after=timedelta(seconds=error.retry_after))


@app.periodic(cron="* * * * * */10")
@app.task(name="integrations.finish", queue=SHORT, queueing_lock="integrations.finish")
def finish(timestamp: int) -> None:  # noqa: ARG001 - the same
    """Finish what was left half made or half deleted."""
    if settings.NANGO_SECRET_KEY:
        outlast_restarts(lambda: finish_left_behind(now=timezone.now()))


@app.periodic(cron="37 * * * *")
@app.task(name="integrations.forget_links", queue=SHORT, queueing_lock="integrations.forget_links")
def forget_links(timestamp: int) -> None:  # noqa: ARG001 - the same
    """Delete links to connect an account whose time is over, and tombstones."""
    outlast_restarts(lambda: forget_old(now=timezone.now()))
    outlast_restarts(tombstones.forget_old)


@app.periodic(cron="51 3 * * *")
@app.task(name="integrations.prune_use_log", queue=SHORT, queueing_lock="integrations.prune_use_log")
def prune_use_log(timestamp: int) -> None:  # noqa: ARG001 - the same
    """Delete what the use log has kept long enough, every night."""
    outlast_restarts(lambda: use_log.prune(now=timezone.now()))
