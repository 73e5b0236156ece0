"""What workers do for integrations."""

from django.conf import settings
from django.utils import timezone
from procrastinate.contrib.django import app

from config.core.database import outlast_restarts
from config.core.jobs import SHORT
from integrations.services.reconciliation import reconcile_connections


@app.periodic(cron="23 * * * *")
@app.task(name="integrations.reconcile", queue=SHORT, queueing_lock="integrations.reconcile")
def reconcile(timestamp: int) -> None:  # noqa: ARG001 - procrastinate tells when it was due
    """Bring our record of connections in line with Nango's, every hour, where there is one."""
    if settings.NANGO_SECRET_KEY:
        outlast_restarts(lambda: reconcile_connections(now=timezone.now()))
