"""Cron jobs and their runs for tests, and how a run is carried on as workers would."""

from datetime import UTC, datetime, timedelta
from typing import Any

from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import User
from clouddev.models import CronJob, CronRun, Machine
from clouddev.services import cron
from clouddev.services.cron.queue import CARRY_ON
from tests.sandbox_process import SandboxProcess

State = CronRun.State
NOON = datetime(2030, 5, 6, 12, 0, tzinfo=UTC)
START = "POST /apps/*/dev/api/workflows/*/start"


def make_job(machine: Machine, workflow_name: str = "nightly", *, by: User | None = None, **fields: Any) -> CronJob:
    """A job that is due at NOON."""
    defaults: dict[str, Any] = {
        "cron_expression": "0 * * * *",
        "timezone": "UTC",
        "input": {"n": 1},
        "next_run_at": NOON,
        "created_at": NOON - timedelta(days=1),
        "updated_at": NOON - timedelta(days=1),
    }
    if fields.get("paused_at"):
        defaults["paused_reason"] = "Paused by a member."
    by = by or machine.owner
    return CronJob.objects.create(machine=machine, created_by=by, workflow_name=workflow_name, **{**defaults, **fields})


def make_run(job: CronJob, due_at: datetime = NOON, **fields: Any) -> CronRun:
    """A run that nobody is at."""
    state = fields.get("state", State.STARTING)
    defaults: dict[str, Any] = {"started_at": due_at, "next_step_at": due_at}
    if state in {State.RUNNING, State.SUCCEEDED}:
        defaults |= {"run_id": "run-1", "sent_at": due_at}
    if state in {State.SUCCEEDED, State.FAILED}:
        defaults["finished_at"] = due_at
    return CronRun.objects.create(job=job, due_at=due_at, **{**defaults, **fields})


def go_on(run: CronRun, now: datetime, *, most: int = 60) -> datetime:
    """Take the run's steps, each when it is time, until the run is over; gives the time of the last one."""
    for _ in range(most):
        run.refresh_from_db()
        if run.finished_at is not None:
            return now
        now = max(now, run.next_step_at)
        cron.carry_on(run.pk, now=now)
    run.refresh_from_db()
    assert run.finished_at is not None, f"still {run.state} after {most} steps"
    return now


def enqueued() -> list[str]:
    """The runs that workers are to go on with, each as often as it was handed to them."""
    there = {str(pk) for pk in CronRun.objects.values_list("pk", flat=True)}
    jobs = ProcrastinateJob.objects.filter(task_name=CARRY_ON).order_by("id")
    # Jobs outlive a test that commits.
    return [str(job.args["run_id"]) for job in jobs if job.args["run_id"] in there]


def started(sandbox: SandboxProcess) -> list[dict[str, Any]]:
    """The runs that machines have."""
    return list(sandbox.state()["fly"]["runs"].values())


def starts_asked(sandbox: SandboxProcess) -> list[dict[str, Any]]:
    """What machines were asked to start."""
    return [
        entry for entry in sandbox.requests("fly") if entry["path"].endswith("/start") and "workflows" in entry["path"]
    ]


def outcome(run: CronRun) -> tuple[str, str]:
    """How the run is by now."""
    run.refresh_from_db()
    return run.state, run.error
