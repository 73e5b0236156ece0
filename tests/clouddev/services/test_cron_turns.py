"""Runs of cron jobs take turns: a slow machine or an account with many runs keeps nobody else's waiting."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import Organization, User
from clouddev.models import CronRun, Machine
from clouddev.services.cron import queue
from core.queues import CRON_AT_ONCE
from tests.clouddev.builders import make_machine
from tests.clouddev.cron_jobs import NOON, make_job, make_run

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def no_jobs() -> None:
    """No jobs, and one worker."""
    ProcrastinateJob.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_workers")
        cursor.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")


@pytest.fixture(autouse=True)
def _the_clock_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are taken as they are due, so all of a test's are due in one moment, however long adding them takes."""
    moment = datetime.now(UTC)
    monkeypatch.setattr(queue.timezone, "now", lambda: moment)


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


def fetched(run: CronRun) -> ProcrastinateJob:
    """The run's job, which the worker has fetched."""
    job = ProcrastinateJob.objects.get(args__run_id=str(run.pk), status="todo")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE procrastinate_jobs SET status = 'doing', queueing_lock = NULL,"
            " worker_id = (SELECT min(id) FROM procrastinate_workers) WHERE id = %s",
            [job.pk],
        )
    return job


def goes_on(job: ProcrastinateJob) -> bool:
    """Whether the worker takes the step; else the job is over."""
    arguments: dict[str, Any] = {**job.args, "run_id": uuid.UUID(job.args["run_id"])}
    taken = queue.has_turn(job_id=job.pk, **arguments)
    if not taken:
        ProcrastinateJob.objects.filter(pk=job.pk).delete()
    return taken


def begun(run: CronRun) -> bool:
    return goes_on(fetched(run))


def other_organization(machine: Machine) -> Machine:
    """The same machine, in an organization that has no other."""
    machine.organization = Organization.objects.create(name=machine.app_name, slug=machine.app_name)
    machine.save()
    return machine


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


def test_one_person_with_many_organizations_leaves_a_slot_to_others(alice: User, charlie: User) -> None:
    machines = [other_organization(make_machine(alice, f"studio-{number}")) for number in range(CRON_AT_ONCE + 1)]
    many = [runs_of(machine, 1)[0] for machine in machines]
    others = runs_of(make_machine(charlie, "others"), 1)
    assert [begun(run) for run in many] == [True] * (CRON_AT_ONCE - 1) + [False] * 2
    assert begun(others[0])


def test_runs_of_one_person_with_many_organizations_come_after_the_first_of_another(alice: User, charlie: User) -> None:
    machines = [other_organization(make_machine(alice, f"studio-{number}")) for number in range(5)]
    many = [runs_of(machine, 1)[0] for machine in machines]
    few = runs_of(make_machine(charlie, "others"), 1)
    assert in_order()[:2] == [str(run.pk) for run in (many[0], few[0])]


def test_the_end_of_a_long_backlog_comes_before_what_others_add_later(
    alice: User, charlie: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that an account that has steps all the time keeps nobody's waiting for ever."""
    many = runs_of(make_machine(alice), 10)
    monkeypatch.setattr(queue.timezone, "now", lambda: datetime.now(UTC) + timedelta(minutes=1))
    later = runs_of(make_machine(charlie, "others"), 1)
    assert in_order() == [str(run.pk) for run in (*many, *later)]


def test_what_is_due_later_keeps_no_place(alice: User, charlie: User) -> None:
    """A run that goes on in a minute is no reason for another one to wait."""
    (first, *rest), (theirs,) = runs_of(make_machine(alice), 10), runs_of(make_machine(charlie, "others"), 1)
    ProcrastinateJob.objects.all().delete()
    for run in rest:
        queue.enqueue(run.pk, after=timedelta(minutes=1))
    queue.enqueue(first.pk)
    queue.enqueue(theirs.pk)
    assert in_order()[:2] == [str(first.pk), str(theirs.pk)]


def test_of_two_steps_of_a_machine_that_are_fetched_at_once_the_older_one_is_taken(alice: User) -> None:
    older, newer = map(fetched, runs_of(make_machine(alice), 2))
    assert [goes_on(older), goes_on(newer)] == [True, False]


@pytest.mark.parametrize("gone", ["worker_id = NULL", None])
def test_what_a_killed_worker_was_at_keeps_other_runs_of_the_machine_waiting_for_seconds(
    alice: User, gone: str | None
) -> None:
    first, second = runs_of(make_machine(alice), 2)
    assert begun(first)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE procrastinate_jobs SET {gone}" if gone else
            "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '13 seconds'"
        )  # fmt: skip
    assert begun(second)


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
