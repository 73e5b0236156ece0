"""What workers do for deployments. The services hold what is done; these are the ways in."""

import uuid

from django.utils import timezone
from procrastinate.contrib.django import app

from core.queues import BUILDS, SHORT
from deployments.services import building, machine_states, queue


@app.task(name=queue.RUN_BUILD, queue=BUILDS)
def run_build(build_id: str) -> None:
    """Carry a build out, unless another worker does already."""
    building.run_build(uuid.UUID(build_id))


@app.task(name=queue.RECHECK, queue=SHORT)
def recheck(build_id: str) -> None:
    """Ask again whether a released app answers."""
    building.recheck(uuid.UUID(build_id))


@app.periodic(cron="* * * * * */10")
@app.task(name="deployments.sweep", queue=SHORT, queueing_lock="deployments.sweep")
def sweep(timestamp: int) -> None:  # noqa: ARG001 - procrastinate tells when it was due
    """Give builds to a worker that none is working on."""
    building.sweep()


@app.periodic(cron="* * * * *")
@app.task(name="deployments.machine_states", queue=SHORT, queueing_lock="deployments.machine_states")
def note_machine_states(timestamp: int) -> None:  # noqa: ARG001 - the same
    """Keep how the apps' machines are."""
    machine_states.note_states(now=timezone.now())
