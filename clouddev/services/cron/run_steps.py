"""Carrying a run out, step by step: waking the machine, starting the workflow, asking what became of it.

No step waits for long, so that a worker is never kept by a machine that takes its time. What is not certain is
never done again: from the moment when the machine is asked to start a workflow, it may have started.
"""

import logging
import uuid
from datetime import datetime, timedelta

from clouddev.clients.dev_server import (
    BadAnswer,
    DevServer,
    NoSuchRun,
    NoSuchWorkflow,
    NotNow,
    Outcome,
    Refused,
)
from clouddev.machine_tokens import Signer, Use
from clouddev.models import CronJob, CronRun, Machine, Member
from clouddev.services import fly_states, power, status
from clouddev.services.cron.jobs import LOST_ACCESS, pause
from clouddev.services.cron.lease import StepLease, take
from clouddev.services.fly_power import GoneAtFly
from core.database import DATABASE_AWAY
from core.errors import ApplicationError
from core.http_client import ServiceFailed, ServiceTimeout, may_still_arrive
from core.leases import LeaseLost

logger = logging.getLogger(__name__)

GIVES_UP_AFTER = timedelta(hours=24)
MOST_TRIES = 40
MAYBE_STARTED = "The workflow may have started all the same; it was not started again."
SUSPENDED = (
    "The organization of the workspace is suspended. Ask an operator of this server to restore it, then resume the job."
)
_SHORTEST, _LONGEST = timedelta(seconds=2), timedelta(minutes=1)
# What a run takes is asked for ten times or so.
_SHARE = 0.1
_LONGEST_TRY = timedelta(seconds=10)
# So long a machine may not know of a run that it has just started.
_UNKNOWN_FOR = timedelta(minutes=1)
_AT_REST = frozenset({"stopped", "stopping", "suspended", "suspending"})
State = CronRun.State


def carry_on(run_id: uuid.UUID, *, now: datetime) -> None:
    """Take the run's next step. Does nothing when it isn't time for one, or another worker is at it."""
    lease = take(run_id, now=now)
    if lease is None:
        return
    try:
        try:
            _step(lease)
        except DATABASE_AWAY as error:
            # Not the job's fault: the step comes again. What it has sent is in the row, and is not sent twice.
            logger.warning("cron run %s: the database went away: %s", run_id, type(error).__name__)
            lease.later(_SHORTEST)
    except LeaseLost:
        logger.warning("cron run %s: step %s is no longer ours", run_id, lease.row.step)


def _step(lease: StepLease) -> None:
    run = lease.row
    if reason := _barred(run.job):
        pause(job=run.job, reason=reason, now=lease.now)
        lease.end(State.FAILED, reason)
    elif run.state == State.RUNNING:
        _ask(lease)
    elif run.sent_at is not None:
        lease.end(State.FAILED, f"Starting the workflow was interrupted. {MAYBE_STARTED}")
    else:
        _begin(lease)


def _barred(job: CronJob) -> str:
    """Why nothing may be started in the name of the job's creator, "" when it may."""
    if job.machine.organization.suspended_at is not None:
        return SUSPENDED
    is_member = Member.objects.filter(machine=job.machine, user_id=job.created_by_id).exists()
    return "" if is_member and job.created_by.is_active else LOST_ACCESS


def _begin(lease: StepLease) -> None:
    """Start the workflow when the machine answers; else wake it, and come back."""
    machine = lease.row.job.machine
    try:
        power.require_ready(machine)
        server = _dev_server(lease.row.job, now=lease.now)
        if not status.is_healthy(machine):
            _wake(lease, machine)
            return
    except ApplicationError as error:
        lease.end(State.FAILED, error.sentence)
        return
    lease.write(sent_at=lease.now)
    _start(lease, server)


def _wake(lease: StepLease, machine: Machine) -> None:
    """Have Fly start the machine. Raises what waiting won't help against."""
    sentence = "The workspace did not wake up: its dev server does not answer."
    try:
        power.wake(machine=machine, actor=lease.row.job.created_by, now=lease.now)
    except (power.NotReady, GoneAtFly):
        raise
    except ApplicationError as error:
        sentence = error.sentence
    _try_again(lease, sentence)


def _start(lease: StepLease, server: DevServer) -> None:
    """Ask the machine to start the workflow. The intent is recorded; nothing here is done twice."""
    job = lease.row.job
    try:
        run_id = server.start_workflow(job.workflow_name, given=job.input)
    except (NoSuchWorkflow, Refused) as error:
        lease.end(State.FAILED, error.sentence)
    except NotNow as error:
        _try_again(lease, error.sentence)
    except (ServiceFailed, ServiceTimeout, BadAnswer) as error:
        if isinstance(error, ServiceFailed) and not may_still_arrive(error):
            _try_again(lease, error.sentence)
        else:
            lease.end(State.FAILED, f"{_what_happened(error)} {MAYBE_STARTED}")
    else:
        lease.later(_SHORTEST, state=State.RUNNING, run_id=run_id)
        # A machine that works is in use.
        Machine.objects.filter(pk=job.machine_id).update(last_active_at=lease.now, warned_at=None)


def _what_happened(error: ApplicationError) -> str:
    if isinstance(error, ServiceTimeout):
        return "The workspace did not answer in time."
    return error.sentence if isinstance(error, BadAnswer) else "The connection broke while the workspace was asked."


def _try_again(lease: StepLease, sentence: str) -> None:
    """Nothing was started: come back in some seconds, or give up with the sentence."""
    tries = lease.row.tries + 1
    if tries >= MOST_TRIES:
        lease.end(State.FAILED, sentence, sent_at=None, tries=tries)
        return
    lease.later(min(_SHORTEST * tries, _LONGEST_TRY), sent_at=None, tries=tries)


def _ask(lease: StepLease) -> None:
    """Ask the machine what became of the run, and come back while it isn't over."""
    run = lease.row
    since = lease.now - (run.sent_at or run.started_at)
    if since > GIVES_UP_AFTER:
        lease.end(State.FAILED, "The run did not end within 24 hours; nobody asks for it any more.")
        return
    if fly_states.states().get(run.job.machine.fly_app_id) in _AT_REST:
        # Asking would wake a machine that somebody has stopped. It goes on with its runs when it is started.
        lease.later(_LONGEST)
        return
    try:
        report = _dev_server(run.job, now=lease.now).run(run.run_id)
    except NoSuchRun as error:
        if since > _UNKNOWN_FOR:
            lease.end(State.FAILED, error.sentence)
            return
        report = None
    except ApplicationError as error:
        logger.warning("cron run %s: not heard of: %s", run.pk, type(error).__name__)
        report = None
    if report is None or report.outcome is Outcome.RUNNING:
        lease.later(max(_SHORTEST, min(since * _SHARE, _LONGEST)))
    elif report.outcome is Outcome.SUCCEEDED:
        lease.end(State.SUCCEEDED)
    else:
        lease.end(State.FAILED, report.error)


def _dev_server(job: CronJob, *, now: datetime) -> DevServer:
    """The machine's dev server, asked in the name of the job's creator. Raises NotConfigured."""
    token = Signer.from_settings().sign(
        user_id=job.created_by_id,
        app=job.machine.fly_app_id,
        login=job.created_by.github_login or job.created_by.username,
        use=Use.CRON,
        now=now,
    )
    return DevServer(url=job.machine.url, token=token)
