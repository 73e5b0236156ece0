"""Machines are made in turns: whoever wants many at once leaves a slot to others."""

import uuid
from typing import Any

import pytest
from django.db import connection
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import Organization, User
from clouddev.models import Machine
from clouddev.services import queue
from core.queues import QUEUES
from tests.clouddev.builders import make_machine

pytestmark = pytest.mark.django_db
State = Machine.State


@pytest.fixture(autouse=True)
def slots(settings: Any) -> None:
    """One worker process with three slots for machines, and no jobs."""
    ProcrastinateJob.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_workers")
        for _ in QUEUES:
            cursor.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")
    settings.WORKER_CONCURRENCY = 3


def wanted(owner: User, number: int, *, state: str = State.CREATING) -> Machine:
    """A machine that was handed to the workers."""
    machine = make_machine(owner, f"studio-{number}", state=state)
    queue.enqueue(machine.pk)
    return machine


def other_organization(machine: Machine) -> Machine:
    machine.organization = Organization.objects.create(name=machine.app_name, slug=machine.app_name)
    machine.save()
    return machine


def fetched(machine: Machine) -> ProcrastinateJob:
    """The machine's job, which a worker has fetched."""
    job = ProcrastinateJob.objects.get(args={"machine_id": str(machine.pk)}, task_name=queue.WORK, status="todo")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE procrastinate_jobs SET status = 'doing', queueing_lock = NULL,"
            " worker_id = (SELECT min(id) FROM procrastinate_workers) WHERE id = %s",
            [job.pk],
        )
    return job


def begun(machine: Machine) -> bool:
    """Whether a worker that has fetched the machine's job does it; else the job is over."""
    job = fetched(machine)
    taken = queue.has_turn(job_id=job.pk, machine_id=machine.pk)
    if not taken:
        ProcrastinateJob.objects.filter(pk=job.pk).delete()
    return taken


@pytest.mark.parametrize("state", [State.CREATING, State.UNDOING, State.DESTROYING])
def test_one_organization_leaves_a_slot_to_others(alice: User, charlie: User, state: str) -> None:
    many = [wanted(alice, number, state=state) for number in range(4)]
    theirs = wanted(charlie, 9)
    assert [begun(machine) for machine in many] == [True, True, False, False]
    assert begun(theirs)


def test_one_person_with_many_organizations_does_too(alice: User, charlie: User) -> None:
    many = [other_organization(wanted(alice, number)) for number in range(4)]
    theirs = wanted(charlie, 9)
    assert [begun(machine) for machine in many] == [True, True, False, False]
    assert begun(theirs)


def test_people_of_one_organization_share_what_it_may_have(alice: User, bob: User) -> None:
    first, second, of_bob = wanted(alice, 1), wanted(alice, 2), wanted(bob, 3)
    of_bob.organization = first.organization
    of_bob.save()
    assert [begun(machine) for machine in (first, second, of_bob)] == [True, True, False]


def test_what_others_make_takes_nobodys_turn(alice: User, bob: User, charlie: User) -> None:
    assert [begun(wanted(owner, number)) for number, owner in enumerate((alice, bob, charlie))] == [True, True, True]


def test_with_one_slot_whoever_is_first_has_it(alice: User, charlie: User, settings: Any) -> None:
    settings.WORKER_CONCURRENCY = 1
    assert begun(wanted(alice, 1))


def test_what_has_no_turn_comes_again_in_seconds(alice: User) -> None:
    many = [wanted(alice, number) for number in range(3)]
    assert [begun(machine) for machine in many] == [True, True, False]
    again = ProcrastinateJob.objects.get(args={"machine_id": str(many[2].pk)}, status="todo")
    assert again.scheduled_at is not None


def test_of_those_that_are_fetched_at_once_the_older_ones_are_made(alice: User) -> None:
    jobs = [fetched(wanted(alice, number)) for number in range(3)]
    turns = [queue.has_turn(job_id=job.pk, machine_id=uuid.UUID(job.args["machine_id"])) for job in jobs]
    assert turns == [True, True, False]


def test_what_a_killed_worker_was_at_keeps_nobody_waiting_for_long(alice: User) -> None:
    first, second, third = (wanted(alice, number) for number in range(3))
    assert begun(first)
    assert begun(second)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '13 seconds'")
    assert begun(third)


def test_starting_and_stopping_takes_no_turn_from_making(alice: User) -> None:
    """It takes seconds, and somebody waits for it."""
    for number in range(2):
        queue.enqueue_desired_state(make_machine(alice, f"asleep-{number}").pk)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE procrastinate_jobs SET status = 'doing', queueing_lock = NULL,"
            " worker_id = (SELECT min(id) FROM procrastinate_workers)"
        )
    assert [begun(wanted(alice, number)) for number in range(2)] == [True, True]


def test_a_machine_that_is_gone_is_nobodys(alice: User) -> None:
    others = [wanted(alice, number) for number in range(2)]
    assert all(begun(machine) for machine in others)
    assert queue.has_turn(job_id=2**40, machine_id=uuid.uuid4())
    assert ProcrastinateJob.objects.filter(status="todo").count() == 0
