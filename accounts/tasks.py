"""What workers do for accounts."""

from datetime import timedelta

from django.utils import timezone
from procrastinate.contrib.django import app

from accounts.services import cli_login, leavers, pruning
from core.database import outlast_restarts
from core.queues import SHORT, defer

LOOK_FOR_LEAVERS = "accounts.look_for_leavers"


@app.periodic(cron="41 3 * * *")
@app.task(name="accounts.prune", queue=SHORT, queueing_lock="accounts.prune")
def prune(timestamp: int) -> None:  # noqa: ARG001 - procrastinate tells when it was due
    """Clear logins, tokens, keys and sessions that are over, every night."""
    outlast_restarts(lambda: pruning.prune(now=timezone.now()))


@app.periodic(cron="* * * * *")
@app.task(name="accounts.erase_sealed_tokens", queue=SHORT, queueing_lock="accounts.erase_sealed_tokens")
def erase_sealed_tokens(timestamp: int) -> None:  # noqa: ARG001 - the same
    """Erase the tokens of CLI logins whose time is over, where neither that CLI nor a new login did."""
    cli_login.erase_expired_tokens(now=timezone.now())


@app.periodic(cron="7 * * * *")
@app.task(name=LOOK_FOR_LEAVERS, queue=SHORT, queueing_lock=LOOK_FOR_LEAVERS)
def look_for_leavers(timestamp: int = 0) -> None:  # noqa: ARG001 - the same
    """Ask the sign-up policy about everybody, every hour; sooner again where GitHub says when it takes calls."""
    found = outlast_restarts(lambda: leavers.look(now=timezone.now()))
    if found.retry_after:
        defer(LOOK_FOR_LEAVERS, queue=SHORT, lock=LOOK_FOR_LEAVERS, after=timedelta(seconds=found.retry_after))
