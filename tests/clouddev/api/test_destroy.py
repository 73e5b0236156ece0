"""POST /api/cloud-dev/destroy: the intent is recorded and a worker told; for owners only."""

import pytest

from accounts.models import AuditEvent
from clouddev.models import Machine, Member
from tests.clouddev.api.expectations import BAD_NAMES, NO_MACHINE, SUSPENDED, jobs_of, said
from tests.clouddev.builders import add_member, make_machine

pytestmark = pytest.mark.django_db
PATH = "/api/cloud-dev/destroy"
STUDIO = {"appName": "studio"}
DESTROYED = (200, {"data": {"status": "destroyed"}})
State = Machine.State


@pytest.mark.parametrize(("body", "sentence"), BAD_NAMES)
def test_what_cannot_be_a_name_is_refused(alice_api, body, sentence):
    assert said(alice_api.post(PATH, body)) == (400, {"error": sentence})


def test_without_a_token_nothing_is_destroyed(nobody_api, studio):
    assert nobody_api.post(PATH, STUDIO).status_code == 401
    assert Machine.objects.get().state == State.READY


def test_a_suspended_owner_destroys_nothing(alice_api, alice, studio):
    alice.is_active = False
    alice.save()
    assert said(alice_api.post(PATH, STUDIO)) == (403, SUSPENDED)
    assert Machine.objects.get().state == State.READY


def test_to_members_and_strangers_there_is_nothing_to_destroy(bob_api, charlie_api, studio):
    absent = said(bob_api.post(PATH, {"appName": "nothing"}))
    assert said(bob_api.post(PATH, STUDIO)) == said(charlie_api.post(PATH, STUDIO)) == absent == (404, NO_MACHINE)
    assert Machine.objects.get().state == State.READY
    assert jobs_of(studio) == 0


@pytest.mark.parametrize("state", [State.CREATING, State.READY, State.UNDOING, State.FAILED])
def test_an_owner_has_it_destroyed_whatever_state_it_is_in(alice_api, alice, state):
    variables = {} if state == State.READY else {"sealed_environment": b"sealed"}
    machine = make_machine(alice, "studio", state=state, error="No room.", **variables)
    assert said(alice_api.post(PATH, STUDIO)) == DESTROYED
    machine.refresh_from_db()
    assert (machine.state, machine.step, machine.error) == (State.DESTROYING, "Waiting for a worker…", "")
    assert machine.sealed_environment is None
    assert jobs_of(machine) == 1
    event = AuditEvent.objects.get(action="machine.destroyed")
    assert (event.actor_id, event.target_id) == (alice.pk, str(machine.pk))
    assert event.details == {"app": "studio", "fly_app": machine.fly_app_id}


def test_a_worker_that_is_making_it_is_not_interrupted_by_a_second_one(alice_api, alice):
    machine = make_machine(alice, "studio", state=State.CREATING, heartbeat_at="2030-01-01T00:00:00Z", attempt=1)
    alice_api.post(PATH, STUDIO)
    assert not Machine.objects.free().exists()
    assert Machine.objects.get().attempt == machine.attempt


def test_destroying_twice_is_fine_and_recorded_once(alice_api, studio):
    assert [said(alice_api.post(PATH, STUDIO)) for _ in range(2)] == [DESTROYED] * 2
    assert jobs_of(studio) == 1
    assert AuditEvent.objects.filter(action="machine.destroyed").count() == 1


def test_ones_own_is_destroyed_and_not_one_of_the_same_name_that_one_also_decides_about(alice_api, alice, bob):
    others, own = make_machine(bob, "studio"), make_machine(alice, "studio")
    add_member(others, alice, Member.Role.OWNER)
    alice_api.post(PATH, STUDIO)
    assert dict(Machine.objects.values_list("pk", "state")) == {others.pk: State.READY, own.pk: State.DESTROYING}


def test_fly_in_trouble_does_not_matter(alice_api, studio_at_fly, sandbox):
    sandbox.faults(target="fly", match="* /*", status=500, times=100)
    assert said(alice_api.post(PATH, STUDIO)) == DESTROYED
    assert sandbox.requests("fly") == []


@pytest.mark.parametrize(("action", "body"), [("destroy", {}), ("transfer", {"login": "bob"})])
def test_who_is_an_owner_of_somebody_elses_is_told_where_they_can(alice, bob, bob_api, settings, action, body):
    machine = make_machine(alice, "studio")
    add_member(machine, bob, role=Member.Role.OWNER)
    sentence = (
        "The workspace of this name is alice's, and by its name only they can do this. "
        f"As an owner, you can on its page: {settings.PUBLIC_URL}/workspaces/{machine.pk}/"
    )
    assert said(bob_api.post(f"/api/cloud-dev/{action}", {**STUDIO, **body})) == (404, {"error": sentence})
    machine.refresh_from_db()
    assert (machine.state, machine.owner) == (State.READY, alice)
