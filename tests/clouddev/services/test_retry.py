"""Machines that failed and are tried again, in the hands of workers."""

import pytest
from django.utils import timezone

from clouddev.models import Machine
from clouddev.services import provisioning
from clouddev.services.retry import try_again
from tests.clouddev.worker_harness import MULTI_LINE, at_fly, wait_for

pytestmark = pytest.mark.django_db(transaction=True)
State = Machine.State
REGIONS = ("iad", "ewr", "yyz", "ord")


def has_room(sandbox, *, machines):
    for region in REGIONS:
        sandbox.fly_room(region, machines=machines)


@pytest.fixture
def failed(workshop, alice, sandbox):
    """alice's, which Fly had its secrets of, but no room for."""
    has_room(sandbox, machines=0)
    machine = workshop.make(alice)
    assert workshop.require_failed(alice).startswith("Fly has no room")
    return machine


def test_it_is_made_with_the_variables_that_were_wanted_at_first(workshop, alice, sandbox, failed):
    has_room(sandbox, machines=10)
    assert try_again(machine=failed, actor=alice, now=timezone.now())
    provisioning.work(failed.pk)
    machine = workshop.require_whole(failed)
    assert machine.variables_kept_until is None
    assert at_fly(workshop)[4]["GOOGLE_CREDENTIALS"] == MULTI_LINE


def test_what_fly_refuses_for_good_can_be_tried_again_and_says_its_reason_again(workshop, alice, sandbox):
    sandbox.faults(target="fly", match="POST /v1/apps$", status=422, times=0)
    machine = workshop.make(alice)
    reason = workshop.require_failed(alice)
    for _ in range(2):
        try_again(machine=machine, actor=alice, now=timezone.now())
        assert workshop.status(alice).status == "creating"
        provisioning.work(machine.pk)
        assert workshop.require_failed(alice) == reason
        machine.refresh_from_db()
    sandbox.clear_faults()
    try_again(machine=machine, actor=alice, now=timezone.now())
    provisioning.work(machine.pk)
    workshop.require_whole(machine)


def test_another_worker_goes_on_with_the_second_try_of_one_that_is_killed(workshop, workers, alice, sandbox, failed):
    has_room(sandbox, machines=10)
    try_again(machine=failed, actor=alice, now=timezone.now())
    workers.start("after fly.clients.machines_api.machines:MachineCalls.create_machine").wait_until_dead()
    # Fly has its secrets by now; should it fail after all, they are needed once more.
    assert Machine.objects.get().sealed_environment is not None

    workshop.let_go()
    workers.start()
    wait_for(lambda: Machine.objects.filter(state=State.READY).exists(), "another worker ends it")

    workshop.require_whole(failed)
    assert at_fly(workshop)[4]["GOOGLE_CREDENTIALS"] == MULTI_LINE
