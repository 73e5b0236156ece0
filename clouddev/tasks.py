"""What workers do for machines."""

import uuid

from procrastinate.contrib.django import app

from clouddev.services import provisioning, queue
from config.core.jobs import LONG, SHORT


@app.task(name=queue.WORK, queue=LONG)
def work(machine_id: str) -> None:
    """Make, undo or destroy a machine, unless somebody else does."""
    provisioning.work(uuid.UUID(machine_id))


@app.periodic(cron="*/10 * * * * *")
@app.task(name="clouddev.sweep", queue=SHORT, queueing_lock="clouddev.sweep")
def sweep(timestamp: int) -> None:  # noqa: ARG001 - procrastinate tells when it was due
    """Find machines that nobody is at."""
    provisioning.sweep()
