"""Workers that are killed while they carry out cron jobs: another one goes on, and nothing is started twice."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from clouddev.models import CronRun
from clouddev.services import cron
from clouddev.services.cron import run_steps
from tests.clouddev.builders import make_machine
from tests.clouddev.cron_jobs import make_job

pytestmark = pytest.mark.django_db(transaction=True)
_CRON = "clouddev.services.cron"
_SERVER = f"{_CRON}.run_steps:DevServer"
# Where the machine was not asked yet, so that it can be asked by another worker; and where it may have been.
BEFORE = [
    f"before {_CRON}.scheduler:_fire",
    f"after {_CRON}.scheduler:_fire",
    f"before {_CRON}.run_steps:take",
    f"after {_CRON}.run_steps:take",
    "after clouddev.services.status:is_healthy",
]
WHILE = [f"before {_SERVER}.start_workflow", f"after {_SERVER}.start_workflow"]
AFTER = [
    f"after {_CRON}.run_steps:_start",
    f"before {_SERVER}.run",
    f"after {_SERVER}.run",
    f"before {_CRON}.lease:StepLease.end",
]


@pytest.fixture
def job(alice, workshop, sandbox):
    """A job that is due now, of a machine that runs."""
    machine = make_machine(alice, sandbox=sandbox)
    sandbox.fly_app(machine.fly_app_id, workflows={"nightly": {}})
    now = timezone.now()
    return make_job(machine, cron_expression="0 0 1 1 *", next_run_at=now - timedelta(seconds=5))


def wait_until_dead(worker):
    """Help time along for what it has left; the steps of living workers take their own."""
    worker.wait_until_dead()
    CronRun.objects.unfinished().update(next_step_at=timezone.now() - timedelta(seconds=1))


def wait_for_the_end():
    """The run when it is over."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        run = CronRun.objects.first()
        if run is not None and run.finished_at is not None:
            return run
        cron.sweep(now=timezone.now())
        time.sleep(0.3)
    pytest.fail(f"not over: {CronRun.objects.values()}")


def started(sandbox):
    return list(sandbox.state()["fly"]["runs"].values())


def test_a_worker_carries_a_job_out(job, workers, sandbox):
    workers.start()
    run = wait_for_the_end()
    assert (run.state, run.error) == ("succeeded", "")
    assert len(started(sandbox)) == 1


@pytest.mark.parametrize("point", [*BEFORE, *AFTER])
def test_a_worker_that_is_killed_is_followed_by_one_that_goes_on(job, workers, sandbox, point):
    wait_until_dead(workers.start(point))
    workers.start()
    run = wait_for_the_end()
    assert (run.state, run.error) == ("succeeded", "")
    assert CronRun.objects.count() == len(started(sandbox)) == 1


@pytest.mark.parametrize("point", WHILE)
def test_one_that_is_killed_while_it_asks_the_machine_is_followed_by_none_that_asks_again(job, workers, sandbox, point):
    wait_until_dead(workers.start(point))
    workers.start()
    run = wait_for_the_end()
    assert (run.state, run.error) == ("failed", f"Starting the workflow was interrupted. {run_steps.MAYBE_STARTED}")
    assert len(started(sandbox)) == point.startswith("after")
