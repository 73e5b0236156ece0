"""Workers that are killed while they make or remove machines: others finish it, and nothing is left behind."""

import signal

import pytest

from clouddev.models import Machine
from clouddev.services import provisioning
from tests.clouddev.worker_harness import require_sentence, wait_for

pytestmark = pytest.mark.django_db(transaction=True)
State = Machine.State
_WORK = "clouddev.services.provisioning"
_FLY = "fly.clients.machines_api"
_DATABASE = "clouddev.clients.data_database"
NOT_TAKEN = [f"before {_WORK}.run:take"]
MAKING = [
    f"after {_WORK}.run:take",
    f"before {_FLY}.apps:AppCalls.create_app",
    f"after {_FLY}.apps:AppCalls.create_app",
    f"after {_FLY}.apps:AppCalls.assign_address",
    "after fly.services.fly_apps:ensure",
    f"before {_DATABASE}.client:DataDatabase.provision",
    f"before {_DATABASE}.provision:_grant_database",
    f"after {_DATABASE}.client:DataDatabase.provision",
    f"before {_FLY}.apps:AppCalls.set_secrets",
    f"after {_FLY}.apps:AppCalls.set_secrets",
    f"after {_WORK}.run:_set_secrets",
    f"before {_FLY}.volumes:VolumeCalls.create_volume",
    f"after {_FLY}.volumes:VolumeCalls.create_volume",
    f"before {_FLY}.machines:MachineCalls.create_machine",
    f"after {_FLY}.machines:MachineCalls.create_machine",
    f"after {_WORK}.run:_place",
    f"before {_FLY}.machines:MachineCalls.get_machine",
    f"before {_WORK}.lease:MachineLease.end",
]
MADE = [f"after {_WORK}.lease:MachineLease.end"]
REMOVING = [
    f"before {_WORK}.run:_remove",
    f"before {_FLY}.apps:AppCalls.delete_app",
    f"after {_FLY}.apps:AppCalls.delete_app",
    "after fly.services.fly_apps:remove",
    f"before {_DATABASE}.client:DataDatabase.drop",
    f"before {_DATABASE}.drop:_drop_things",
    f"before {_DATABASE}.drop:_drop_role",
    f"after {_DATABASE}.client:DataDatabase.drop",
    f"after {_WORK}.run:_remove_database",
]
DESTROYING = [
    *NOT_TAKEN,
    f"after {_WORK}.run:take",
    *REMOVING,
    f"before {_WORK}.run:_forget",
    f"after {_WORK}.run:_forget",
]
UNDOING = [
    f"after {_FLY}.volumes:VolumeCalls.delete_volume",
    f"before {_WORK}.run:_give_up",
    f"after {_WORK}.run:_give_up",
    *REMOVING[2::2],
]
INTERRUPTED = "Making the workspace was interrupted several times. Create it again."


def short(point):
    return point.replace("clouddev.", "").replace("deployments.", "").replace("services.provisioning.", "")


def kill_at(workers, point):
    workers.start(point).wait_until_dead()


def recover(workshop, workers, *, until):
    """Let another worker go on with what a dead one has left."""
    workshop.let_go()
    workers.start()
    wait_for(until, "another worker ends it")


@pytest.mark.parametrize("point", [*NOT_TAKEN, *MAKING, *MADE], ids=short)
def test_a_machine_whose_worker_is_killed_is_ready_all_the_same(workshop, workers, alice, point):
    machine = workshop.order(alice)
    kill_at(workers, point)
    if point not in MADE:
        status = workshop.status(alice)
        assert (status.status, status.error) == ("creating", "")
        require_sentence(status.message)

    recover(workshop, workers, until=lambda: Machine.objects.filter(state=State.READY).exists())

    machine = workshop.require_whole(machine)
    assert machine.attempt == (2 if point in MAKING else 1)


@pytest.mark.parametrize("point", DESTROYING, ids=short)
def test_a_machine_whose_worker_is_killed_is_destroyed_all_the_same(workshop, workers, alice, point):
    machine = workshop.make(alice)
    workshop.destroy(machine, by=alice)
    kill_at(workers, point)
    if Machine.objects.exists():
        status = workshop.status(alice)
        assert status.status == "destroying"
        require_sentence(status.message)

    recover(workshop, workers, until=lambda: not Machine.objects.exists())

    workshop.require_nothing_left()


@pytest.mark.parametrize("point", UNDOING, ids=short)
def test_what_can_not_be_made_is_undone_although_its_worker_is_killed(workshop, workers, alice, sandbox, point):
    regions = ("iad", "ewr", "yyz", "ord")
    for region in regions:
        sandbox.fly_room(region, machines=0)
    workshop.order(alice)
    kill_at(workers, point)
    status = workshop.status(alice)
    require_sentence(status.message)
    assert status.status in {"creating", "error"}
    if status.status == "error":
        require_sentence(status.error)

    recover(workshop, workers, until=lambda: Machine.objects.filter(state=State.FAILED).exists())

    assert workshop.require_failed(alice).startswith("Fly has no room")


@pytest.mark.parametrize("point", MAKING[2::5], ids=short)
def test_one_that_is_destroyed_after_its_worker_was_killed_leaves_nothing(workshop, workers, alice, point):
    machine = workshop.order(alice)
    kill_at(workers, point)
    workshop.destroy(machine, by=alice)
    recover(workshop, workers, until=lambda: not Machine.objects.exists())
    workshop.require_nothing_left()


def test_a_machine_that_kills_every_worker_is_undone_in_the_end(workshop, workers, alice):
    machine = workshop.order(alice)
    for _ in range(6):
        kill_at(workers, MAKING[-1])
        workshop.let_go()
    provisioning.work(machine.pk)
    assert workshop.require_failed(alice) == INTERRUPTED
    workshop.require_whole(workshop.make(alice))


def test_a_worker_that_is_told_to_end_hands_its_machine_over_at_once(workshop, workers, alice, sandbox):
    machine = workshop.order(alice)
    # It takes ten seconds to start.
    sandbox.fly_clock(factor=1)
    first = workers.start()
    wait_for(lambda: Machine.objects.get().fly_machine_id, "the machine is made")
    workers.start()
    first.stop(seconds=10)
    wait_for(lambda: Machine.objects.get().attempt == 2, "another one goes on", seconds=10)
    sandbox.fly_clock(advance=60)
    wait_for(lambda: Machine.objects.get().state == State.READY, "it is ready", seconds=20)
    workshop.require_whole(machine)


@pytest.mark.parametrize(
    "point",
    [f"before {_DATABASE}.drop:_drop_all", "before clouddev.nowhere:make", f"within {_WORK}.run:take"],
    ids=["no function", "no module", "no moment"],
)
def test_a_point_that_is_not_there_fails_the_test(workers, point):
    with pytest.raises(AssertionError, match="no point"):
        workers.start(point)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_worker_that_ends_otherwise_was_not_killed_at_its_point(workers, number):
    worker = workers.start(MAKING[0])
    worker.signal(number)
    with pytest.raises(AssertionError, match="ended otherwise"):
        worker.wait_until_dead()
