"""A machine with a workflow, and a run of it that nobody is at."""

import pytest

from accounts.models import User
from clouddev.models import CronRun, Machine
from tests.clouddev.builders import make_machine
from tests.clouddev.cron_jobs import make_job, make_run
from tests.sandbox_process import SandboxProcess


@pytest.fixture
def studio(alice: User, sandbox: SandboxProcess) -> Machine:
    """alice's machine, running, with a workflow that succeeds at once."""
    machine = make_machine(alice, sandbox=sandbox)
    sandbox.fly_app(machine.fly_app_id, workflows={"nightly": {}})
    sandbox.clear_requests()
    return machine


@pytest.fixture
def run(studio: Machine) -> CronRun:
    return make_run(make_job(studio))
