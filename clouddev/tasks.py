"""What workers do for machines."""

import uuid

from django.utils import timezone
from procrastinate import JobContext
from procrastinate.contrib.django import app

from clouddev.services import (
    cron,
    desired_state,
    filters,
    fly_states,
    idle_policy,
    kept_env,
    leavers,
    offers,
    power,
    provisioning,
    queue,
    reconciliation,
    tokens,
)
from clouddev.services.cron.queue import CARRY_ON
from core.database import outlast_restarts
from core.queues import CRON, MACHINES, SHORT


@app.task(name=queue.WORK, queue=MACHINES, pass_context=True)
def work(context: JobContext, machine_id: str) -> None:
    """Make, undo or destroy a machine, unless another worker does already, or it is somebody else's turn."""
    machine = uuid.UUID(machine_id)
    if queue.has_turn(job_id=context.job.id or 0, machine_id=machine):
        provisioning.work(machine)


@app.periodic(cron="* * * * * */10")
@app.task(name="clouddev.sweep", queue=SHORT, queueing_lock="clouddev.sweep")
def sweep(timestamp: int) -> None:  # noqa: ARG001 - procrastinate tells when it was due
    """Give machines to a worker that none is working on."""
    provisioning.sweep()
    desired_state.sweep(now=timezone.now())


@app.task(name=queue.APPLY_DESIRED_STATE, queue=MACHINES)
def apply_desired_state(machine_id: str) -> None:
    """Ask Fly again to start or stop a machine, as long as that is not done."""
    power.carry_on(uuid.UUID(machine_id), now=timezone.now())


@app.periodic(cron="23 * * * *")
@app.task(name="clouddev.reconcile", queue=SHORT, queueing_lock="clouddev.reconcile")
def reconcile(timestamp: int) -> None:  # noqa: ARG001 - the same
    """Compare what the data database has with what we have."""
    outlast_restarts(lambda: reconciliation.reconcile(now=timezone.now()))


@app.task(name=CARRY_ON, queue=CRON, pass_context=True)
def carry_on_cron_run(
    context: JobContext, run_id: str, organization_id: str = "", person_id: str = "", machine_id: str = ""
) -> None:
    """Take the next step of a cron job's run, unless another worker does already, or it is somebody else's turn."""
    run, job_id = uuid.UUID(run_id), context.job.id or 0
    if cron.queue.has_turn(
        job_id=job_id, run_id=run, organization_id=organization_id, person_id=person_id, machine_id=machine_id
    ):
        cron.carry_on(run, now=timezone.now())


@app.periodic(cron="* * * * * */10")
@app.task(name="clouddev.tick", queue=SHORT, queueing_lock="clouddev.tick")
def tick(timestamp: int) -> None:  # noqa: ARG001 - the same
    """Start cron jobs that are due, and continue runs that no worker is working on."""
    cron.tick(now=timezone.now())
    cron.sweep(now=timezone.now())


@app.periodic(cron="41 3 * * *")
@app.task(name="clouddev.forget_cron_runs", queue=SHORT, queueing_lock="clouddev.forget_cron_runs")
def forget_cron_runs(timestamp: int) -> None:  # noqa: ARG001 - the same
    """Delete runs of cron jobs that ended long ago, what is known of tokens that are over, and expired offers."""
    outlast_restarts(lambda: cron.forget_old_runs(now=timezone.now()))
    outlast_restarts(lambda: tokens.forget_over(now=timezone.now()))
    outlast_restarts(lambda: offers.forget_over(now=timezone.now()))


@app.periodic(cron="*/5 * * * *")
@app.task(name="clouddev.look_for_idle", queue=SHORT, queueing_lock="clouddev.look_for_idle")
def look_for_idle(timestamp: int) -> None:  # noqa: ARG001 - the same
    """Stop, warn of and delete machines that nobody uses, where their organization wants that."""
    outlast_restarts(lambda: idle_policy.look(now=timezone.now()))


@app.periodic(cron="* * * * *")
@app.task(name="clouddev.forget_variables", queue=SHORT, queueing_lock="clouddev.forget_variables")
def forget_variables(timestamp: int) -> None:  # noqa: ARG001 - the same
    """Erase what was kept for another try at machines that failed, once its hour is over."""
    outlast_restarts(lambda: kept_env.forget_over(now=timezone.now()))


@app.periodic(cron="* * * * *")
@app.task(name="clouddev.note_states", queue=SHORT, queueing_lock="clouddev.note_states")
def note_states(timestamp: int) -> None:  # noqa: ARG001 - the same
    """Write down how Fly says machines are."""
    fly_states.note_states()
    filters.count_states(now=timezone.now())


@app.periodic(cron="* * * * *")
@app.task(name="clouddev.stop_leavers", queue=SHORT, queueing_lock="clouddev.stop_leavers")
def stop_leavers(timestamp: int) -> None:  # noqa: ARG001 - the same
    """Stop machines that run although everybody who could use them has left."""
    outlast_restarts(lambda: leavers.stop_again(now=timezone.now()))
