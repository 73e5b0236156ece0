"""Runs of cron jobs take turns: a slow machine or an account with many runs keeps nobody else's waiting."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import User
from clouddev.models import CronRun, Machine
from clouddev.services.cron import queue
from config.core.jobs import CRON_AT_ONCE
from tests.clouddev.builders import make_machine
from tests.clouddev.cron_jobs import NOON, make_job, make_run

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def no_jobs() -> None:
    ProcrastinateJob.objects.all().delete()


def runs_of(machine: Machine, number: int) -> list[CronRun]:
    """So many runs that were handed to the workers."""
    job = make_job(machine, f"job-{uuid.uuid4()}")
    runs = [make_run(job, NOON + HOUR * count) for count in range(number)]
    for run in runs:
        queue.enqueue(run.pk)
    return runs


def in_order() -> list[str]:
    """The runs in the order in which workers fetch their jobs."""
    jobs = ProcrastinateJob.objects.filter(status="todo").order_by("-priority", "id")
    return [str(job.args["run_id"]) for job in jobs]


def begun(run: CronRun) -> bool:
    """Whether a worker that has fetched the run's job takes its step."""
    job = ProcrastinateJob.objects.get(args__run_id=str(run.pk), status="todo")
    ProcrastinateJob.objects.filter(pk=job.pk).update(status="doing")
    arguments: dict[str, Any] = {**job.args, "run_id": run.pk}
    taken = queue.has_turn(job_id=job.pk, **arguments)
    if not taken:
        ProcrastinateJob.objects.filter(pk=job.pk).delete()
    return taken


def test_forty_runs_of_one_account_come_after_the_first_of_another(alice: User, charlie: User) -> None:
    many = [run for number in range(4) for run in runs_of(make_machine(alice, f"studio-{number}"), 10)]
    few = runs_of(make_machine(charlie, "others"), 2)
    order = in_order()
    assert order[:4] == [str(run.pk) for run in (many[0], few[0], many[1], few[1])]
    assert order[4:] == [str(run.pk) for run in many[2:]]


def test_of_one_machine_one_step_is_taken_at_a_time(alice: User) -> None:
    """So that a dev server that answers slowly costs its own runs alone."""
    slow, other = runs_of(make_machine(alice, "slow"), 3), runs_of(make_machine(alice, "other"), 1)
    assert [begun(run) for run in slow] == [True, False, False]
    assert begun(other[0])


def test_one_organization_leaves_a_slot_to_others(alice: User, charlie: User) -> None:
    many = [runs_of(make_machine(alice, f"studio-{number}"), 1)[0] for number in range(CRON_AT_ONCE + 2)]
    others = runs_of(make_machine(charlie, "others"), 1)
    assert [begun(run) for run in many] == [True] * (CRON_AT_ONCE - 1) + [False] * 3
    assert begun(others[0])


def test_what_a_killed_worker_left_of_a_run_keeps_the_next_worker_waiting_for_nothing(alice: User) -> None:
    (run,) = runs_of(make_machine(alice), 1)
    assert begun(run)
    queue.enqueue(run.pk)
    assert begun(run)


def test_what_has_no_turn_comes_again_in_seconds(alice: User) -> None:
    first, second = runs_of(make_machine(alice), 2)
    assert begun(first)
    assert not begun(second)
    again = ProcrastinateJob.objects.get(args__run_id=str(second.pk), status="todo")
    assert again.scheduled_at is not None


def test_a_run_that_is_gone_is_not_handed_on() -> None:
    queue.enqueue(uuid.uuid4())
    assert in_order() == []
