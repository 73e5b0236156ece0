"""Managing the cron jobs of a machine: every member may."""

import json
import uuid
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction

from accounts import audit
from accounts.models.users import Person
from accounts.policies import Acting
from accounts.principals import Principal
from accounts.services import access
from clouddev import cron_expressions
from clouddev.models import CronJob, CronRun, Machine
from clouddev.services.access import NoSuchMachine, machine_by_fly_name
from core.errors import Conflict, Malformed, NotFound

PAGE = 50
MOST_JOBS = 100
BY_HAND = "Paused by a member."
LOST_ACCESS = "Whoever made this job may no longer use the workspace. Resume it, and it runs in your name."


class NoSuchJob(NotFound):
    """404: there is no such job on a machine that the person may use."""

    default = "There is no such cron job."


class WorkflowHasJob(Conflict):
    """409: the workflow has a job on this machine already."""

    default = "This workflow has a cron job on this workspace already. Change that one, or delete it first."


class TooManyJobs(Conflict):
    """409: the machine has as many jobs as it may."""

    default = f"A workspace may have {MOST_JOBS} cron jobs. Delete one first."


@dataclass(frozen=True, slots=True)
class Keep:
    """In place of a value that isn't changed: None is an input like any other."""


KEEP = Keep()


def list_jobs(*, person: Acting, fly_name: str, workflow_name: str = "") -> list[CronJob]:
    """The jobs of a machine by the names of their workflows, or the one of a workflow. Raises NoSuchMachine."""
    jobs = CronJob.objects.filter(machine=machine_by_fly_name(person=person, fly_name=fly_name, action="cron.view"))
    if workflow_name:
        jobs = jobs.filter(workflow_name=workflow_name)
    return list(jobs.select_related("machine", "created_by"))


def create_job(  # noqa: PLR0913 - a job has this many parts
    *,
    caller: Principal,
    fly_name: str,
    workflow_name: str,
    expression: str,
    timezone: str,
    given: object,
    now: datetime,
) -> CronJob:
    """A job that starts the workflow with the input `given` in the caller's name.

    Raises NoSuchMachine, BadSchedule, BadTimeZone, WorkflowHasJob, TooManyJobs and AccessEnded.
    """
    machine = machine_by_fly_name(person=caller, fly_name=fly_name, action="cron.create")
    parsed, zone = cron_expressions.parse(expression), cron_expressions.parse_timezone(timezone)
    try:
        with transaction.atomic():
            access.hold(caller)
            # Jobs are counted and made behind this lock, so that calls at once can't pass the limit.
            Machine.objects.select_for_update(no_key=True).filter(pk=machine.pk).first()
            if not _is_member(caller, machine):
                raise NoSuchMachine
            if machine.cron_jobs.count() >= MOST_JOBS:
                raise TooManyJobs
            job = CronJob.objects.create(
                machine=machine,
                created_by_id=caller.id,
                workflow_name=workflow_name,
                cron_expression=parsed,
                timezone=timezone,
                input=given,
                next_run_at=cron_expressions.next_after(parsed, zone, now),
                created_at=now,
                updated_at=now,
            )
            record("cron_job.created", job, caller)
    except IntegrityError as error:
        raise WorkflowHasJob from error
    return job


def change_job(  # noqa: PLR0913 - the same
    *,
    caller: Principal,
    job_id: uuid.UUID,
    expression: str | None,
    timezone: str | None,
    given: object | Keep,
    paused: bool | None,
    now: datetime,
) -> CronJob:
    """Change what isn't None (or KEEP). Runs start in the caller's name from now on.

    So nobody can have something of their own started in another's name. What changes nothing leaves the next time as
    it is, too. Raises NoSuchJob, BadSchedule, BadTimeZone and AccessEnded.
    """
    with transaction.atomic():
        access.hold(caller)
        found = CronJob.objects.for_member(caller).filter(pk=job_id)
        job = found.select_for_update(of=("self",)).select_related("machine").first()
        if job is None or not _is_member(caller, job.machine):
            raise NoSuchJob
        before = _settings_of(job)
        if expression is not None:
            job.cron_expression = cron_expressions.parse(expression)
        if timezone is not None:
            cron_expressions.parse_timezone(timezone)
            job.timezone = timezone
        if not isinstance(given, Keep):
            job.input = given
        if paused is not None:
            job.paused_at = (job.paused_at or now) if paused else None
            job.paused_reason = (job.paused_reason or BY_HAND) if paused else ""
        job.created_by_id = caller.id
        if _settings_of(job) == before:
            return job
        job.next_run_at, job.updated_at = _next_time(job, now), now
        job.save()
        record("cron_job.changed", job, caller)
    return job


def delete_job(*, caller: Principal, job_id: uuid.UUID) -> None:
    """Delete a job with its runs; a workflow that runs goes on on the machine. Raises NoSuchJob."""
    with transaction.atomic():
        job = _job(caller, job_id)
        # Locked first: a run that is being recorded is there by then, and goes with it. Of two deletions at once one
        # finds it, and writes it down.
        same = CronJob.objects.filter(pk=job.pk)
        if not same.select_for_update() or not same.delete()[0]:
            raise NoSuchJob
        record("cron_job.deleted", job, caller)


def list_runs(*, person: Person, job_id: uuid.UUID, before: uuid.UUID | None) -> list[CronRun]:
    """The newest runs of a job, newest first, PAGE at most; with `before` those that are older than that one.

    Raises NoSuchJob, or Malformed when the job has no run `before`.
    """
    runs = CronRun.objects.filter(job=_job(person, job_id))
    if before is not None:
        since = runs.filter(pk=before).values_list("due_at", flat=True).first()
        if since is None:
            raise Malformed("before: This job has no such run.")
        runs = runs.filter(due_at__lt=since)
    return list(runs[:PAGE])


def pause(*, job: CronJob, reason: str, now: datetime) -> None:
    """Let a job start nothing until a member resumes it. Does nothing to one that is paused."""
    with transaction.atomic():
        going = CronJob.objects.filter(pk=job.pk, paused_at=None)
        if going.update(paused_at=now, paused_reason=reason, updated_at=now):
            record("cron_job.paused", job, None, reason=reason)


def record(action: str, job: CronJob, actor: audit.Actor | None, **details: str) -> None:
    """Add a row to the audit trail; no actor is this server itself."""
    about = {"app": job.machine.app_name, "workflow": job.workflow_name, "schedule": job.cron_expression}
    audit.record(action, actor=actor, target=job, details={**about, **details})


def _job(person: Person, job_id: uuid.UUID) -> CronJob:
    job = CronJob.objects.for_member(person).select_related("machine").filter(pk=job_id).first()
    if job is None:
        raise NoSuchJob
    return job


def _is_member(person: Person, machine: Machine) -> bool:
    """Whether they are one even now: whoever is removed holds the machine, or pauses the job, in that moment."""
    return machine.members.filter(user_id=person.id).exists()


def _settings_of(job: CronJob) -> tuple[object, ...]:
    """What members change of a job. The input as JSON, since in Python `true` and 1 are equal."""
    told = json.dumps(job.input, sort_keys=True)
    return job.cron_expression, job.timezone, told, job.paused_at, job.created_by_id


def _next_time(job: CronJob, now: datetime) -> datetime:
    return cron_expressions.next_after(job.cron_expression, cron_expressions.parse_timezone(job.timezone), now)
