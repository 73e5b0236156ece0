"""What workers do for accounts."""

from django.utils import timezone
from procrastinate.contrib.django import app

from accounts.services import pruning
from config.core.jobs import SHORT


@app.periodic(cron="41 3 * * *")
@app.task(name="accounts.prune", queue=SHORT, queueing_lock="accounts.prune")
def prune(timestamp: int) -> None:  # noqa: ARG001 - procrastinate tells when it was due
    """Clear logins, tokens and sessions that are over, every night."""
    pruning.prune(now=timezone.now())
