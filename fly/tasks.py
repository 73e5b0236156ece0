"""What workers do about Fly itself."""

from django.utils import timezone
from procrastinate.contrib.django import app

from core.database import outlast_restarts
from core.queues import SHORT
from fly.services import reconciliation


@app.periodic(cron="*/5 * * * *")
@app.task(name="fly.reconcile", queue=SHORT, queueing_lock="fly.reconcile")
def reconcile(timestamp: int) -> None:  # noqa: ARG001 - procrastinate tells when it was due
    """Compare what Fly has with what we have."""
    outlast_restarts(lambda: reconciliation.reconcile(now=timezone.now()))
