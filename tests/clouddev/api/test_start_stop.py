"""POST /api/cloud-dev/start and /stop: Fly is asked for what has an effect; what it can't do yet is a worker's."""

import pytest
from django.utils import timezone

from accounts.models import AuditEvent
from clouddev.models import Machine
from clouddev.services import power
from clouddev.services.access import NoSuchMachine
from clouddev.services.power import CHANGES
from tests.clouddev.api.expectations import BAD_NAMES, NO_MACHINE, STATES_OF_NO_USE, SUSPENDED, said
from tests.clouddev.builders import make_machine
from tests.fly.fly_assertions import changes_at_fly
from tests.stopwatch import Stopwatch

pytestmark = pytest.mark.django_db
START, STOP = "/api/cloud-dev/start", "/api/cloud-dev/stop"
STUDIO = {"appName": "studio"}
STARTED = (200, {"data": {"status": "starting", "started": 1}})
NOTHING_STARTED = (200, {"data": {"status": "starting", "started": 0}})
STOPPED = (200, {"data": {"status": "stopped"}})
START_AT_FLY, STOP_AT_FLY = "POST /v1/apps/*/machines/*/start", "POST /v1/apps/*/machines/*/stop"
STILL_ACTIVE = {"error": "failed_precondition: machine still active, refusing to start"}
both = pytest.mark.parametrize("path", [START, STOP])


@pytest.fixture
def stopped(alice, bob, studio_at_fly, sandbox):
    sandbox.fly_machine(studio_at_fly.fly_machine_id, state="stopped")
    return studio_at_fly


def state_at_fly(sandbox, machine):
    return sandbox.state()["fly"]["machines"][machine.fly_machine_id]["state"]


@both
@pytest.mark.parametrize(("body", "sentence"), BAD_NAMES)
def test_what_cannot_be_a_name_is_refused(alice_api, path, body, sentence):
    assert said(alice_api.post(path, body)) == (400, {"error": sentence})


@both
def test_without_a_token_nothing_happens(nobody_api, studio_at_fly, sandbox, path):
    assert nobody_api.post(path, STUDIO).status_code == 401
    assert changes_at_fly(sandbox) == []


@both
def test_a_suspended_member_changes_nothing(bob_api, bob, studio_at_fly, sandbox, path):
    bob.is_active = False
    bob.save()
    assert said(bob_api.post(path, STUDIO)) == (403, SUSPENDED)
    assert changes_at_fly(sandbox) == []


@both
def test_to_a_stranger_there_is_no_such_machine(charlie_api, studio_at_fly, sandbox, path):
    assert said(charlie_api.post(path, STUDIO)) == said(charlie_api.post(path, {"appName": "no"})) == (404, NO_MACHINE)
    assert changes_at_fly(sandbox) == []


@both
@pytest.mark.parametrize(
    ("state", "sentence"),
    [(Machine.State.CREATING, "The workspace is still being made. Please try again when it is running."),
     *STATES_OF_NO_USE],
)  # fmt: skip
def test_one_that_is_not_ready_is_left_alone(alice_api, alice, sandbox, path, state, sentence):
    make_machine(alice, "studio", state=state)
    assert said(alice_api.post(path, STUDIO)) == (409, {"error": sentence})
    assert sandbox.requests("fly") == []


@both
def test_one_that_fly_no_longer_has_can_only_be_made_anew(alice_api, studio, sandbox, path):
    gone = (409, {"error": "Fly no longer has this workspace. Destroy it and create it again."})
    assert said(alice_api.post(path, STUDIO)) == gone
    sandbox.add_fly_app(studio.fly_app_id)
    assert said(alice_api.post(path, STUDIO)) == gone


@both
@pytest.mark.parametrize("fault", [{"status": 500}, {"drop": "before", "times": 2}])
def test_a_fly_in_trouble_is_said_to_be(alice_api, studio_at_fly, sandbox, path, fault):
    sandbox.faults(target="fly", match="GET /v1/apps/*", **fault)
    answer = alice_api.post(path, STUDIO)
    assert (answer.status_code, list(answer.json())) == (502, ["error"])
    assert not AuditEvent.objects.filter(action__startswith="machine.").exists()
    assert not Machine.objects.awaited().exists()


@both
def test_a_server_without_fly_names_the_setting(alice_api, studio, settings, path):
    settings.FLY_API_TOKEN = ""
    answer = alice_api.post(path, STUDIO)
    assert (answer.status_code, "FLY_API_TOKEN" in answer.json()["error"]) == (503, True)


@both
def test_asking_without_end_is_limited(alice_api, alice, studio_at_fly, path):
    for _ in range(30):
        CHANGES.spend(str(alice.pk))
    answer = alice_api.post(path, STUDIO)
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) >= 1


@pytest.mark.parametrize("state", ["stopped", "suspended", "failed"])
def test_a_member_starts_one_that_rests(bob_api, bob, studio_at_fly, sandbox, state):
    sandbox.fly_machine(studio_at_fly.fly_machine_id, state=state)
    assert said(bob_api.post(START, STUDIO)) == STARTED
    assert state_at_fly(sandbox, studio_at_fly) in {"starting", "started"}
    event = AuditEvent.objects.get(action="machine.started")
    assert (event.actor_id, event.target_id) == (bob.pk, str(studio_at_fly.pk))


@pytest.mark.parametrize("state", ["started", "starting", "replacing"])
def test_one_that_runs_or_is_about_to_is_not_started_again(alice_api, studio_at_fly, sandbox, state):
    sandbox.fly_machine(studio_at_fly.fly_machine_id, state=state)
    assert said(alice_api.post(START, STUDIO)) == NOTHING_STARTED
    assert changes_at_fly(sandbox) == []
    assert not AuditEvent.objects.filter(action="machine.started").exists()


def awaited():
    """What a worker is to see to."""
    return list(Machine.objects.awaited().values_list("wanted", flat=True))


def test_the_moment_in_which_fly_refuses_to_start_is_left_to_a_worker(alice_api, alice, stopped, sandbox):
    sandbox.faults(target="fly", match=START_AT_FLY, status=412, body=STILL_ACTIVE)
    assert said(alice_api.post(START, STUDIO)) == STARTED
    assert (awaited(), len(changes_at_fly(sandbox))) == (["started"], 1)
    assert not AuditEvent.objects.filter(action="machine.started").exists()


@pytest.mark.parametrize("state", ["stopping", "suspending", "created"])
def test_one_that_can_not_be_started_yet_is_left_to_a_worker(alice_api, studio_at_fly, sandbox, state):
    sandbox.fly_clock(factor=0)
    sandbox.fly_machine(studio_at_fly.fly_machine_id, state=state)
    assert said(alice_api.post(START, STUDIO)) == STARTED
    assert awaited() == ["started"]


@pytest.mark.parametrize("state", ["created", "creating", "replacing", "updating", "suspending"])
def test_one_that_can_not_be_stopped_yet_is_left_to_a_worker(alice_api, studio_at_fly, sandbox, state):
    sandbox.fly_clock(factor=0)
    sandbox.fly_machine(studio_at_fly.fly_machine_id, state=state)
    assert said(alice_api.post(STOP, STUDIO)) == STOPPED
    assert awaited() == ["stopped"]


def test_a_lease_of_somebody_else_is_left_to_a_worker_too(alice_api, stopped, sandbox):
    sandbox.faults(target="fly", match=START_AT_FLY, status=409, body={"error": "lease currently held by x"})
    assert said(alice_api.post(START, STUDIO)) == STARTED
    assert awaited() == ["started"]


@both
@pytest.mark.parametrize("slow", ["GET /v1/apps/*", "POST /v1/apps/*", "* /v1/apps/*"])
def test_nobody_waits_for_a_slow_fly_longer_than_five_seconds(alice_api, studio_at_fly, sandbox, path, slow):
    sandbox.fly_machine(studio_at_fly.fly_machine_id, state="stopped" if path == START else "started")
    sandbox.faults(target="fly", match=slow, delay=4 if slow.startswith("*") else 20, times=5)
    with Stopwatch() as watch:
        assert alice_api.post(path, STUDIO).status_code == 200
    assert watch.at_ease < 6
    assert awaited() == ["started" if path == START else "stopped"]


@both
def test_an_answer_that_was_lost_is_looked_for(alice_api, alice, studio_at_fly, sandbox, path):
    state, wanted = ("stopped", "started") if path == START else ("started", "stopped")
    sandbox.fly_machine(studio_at_fly.fly_machine_id, state=state)
    Machine.objects.update(last_active_at=None)
    sandbox.faults(target="fly", match="POST /v1/apps/*/machines/*", drop="after", times=2)
    assert said(alice_api.post(path, STUDIO)) == (STARTED if path == START else STOPPED)
    assert awaited() == []
    assert AuditEvent.objects.get(action=f"machine.{wanted}").actor_id == alice.pk
    assert Machine.objects.get().last_active_at is not None


def test_an_order_that_was_cut_off_before_fly_had_it_is_left_to_a_worker(alice_api, stopped, sandbox):
    sandbox.faults(target="fly", match=START_AT_FLY, drop="before")
    assert said(alice_api.post(START, STUDIO)) == STARTED
    assert awaited() == ["started"]


def test_a_fly_that_fails_to_start_it_is_said_to(alice_api, stopped, sandbox):
    sandbox.faults(target="fly", match=START_AT_FLY, status=500)
    assert alice_api.post(START, STUDIO).status_code == 502
    assert awaited() == []
    assert not AuditEvent.objects.filter(action="machine.started").exists()
    # Whoever else uses it is told, too.
    told = alice_api.get("/api/cloud-dev/status", appName="studio").json()["data"]
    sentence = "The workspace could not be started. Fly failed. Please try again in a moment."
    assert told == {"status": "stopped", "url": stopped.url, "message": sentence}


def test_a_later_wish_takes_the_place_of_an_earlier_one(alice_api, stopped, sandbox):
    sandbox.faults(target="fly", match=START_AT_FLY, status=412, body=STILL_ACTIVE)
    alice_api.post(START, STUDIO)
    assert said(alice_api.post(STOP, STUDIO)) == STOPPED
    assert awaited() == []
    assert state_at_fly(sandbox, stopped) == "stopped"


def test_without_room_in_the_region_that_is_said(alice_api, stopped, sandbox):
    sandbox.fly_room("iad", machines=0)
    sentence = "Fly has no room for the workspace in iad right now. Try again in a few minutes."
    assert said(alice_api.post(START, STUDIO)) == (503, {"error": sentence})


@pytest.mark.parametrize("state", ["started", "suspended", "restarting"])
def test_a_member_stops_one_that_runs(bob_api, bob, studio_at_fly, sandbox, state):
    sandbox.fly_machine(studio_at_fly.fly_machine_id, state=state)
    assert said(bob_api.post(STOP, STUDIO)) == STOPPED
    assert state_at_fly(sandbox, studio_at_fly) in {"stopping", "stopped"}
    assert AuditEvent.objects.get(action="machine.stopped").actor_id == bob.pk


def test_one_that_is_stopped_stays_so(alice_api, stopped, sandbox):
    assert said(alice_api.post(STOP, STUDIO)) == STOPPED
    assert changes_at_fly(sandbox) == []


def test_what_was_changed_is_seen_at_once(alice_api, stopped):
    def word():
        return alice_api.get("/api/cloud-dev/list").json()["data"][0]["fly_state"]

    assert word() == "stopped"
    alice_api.post(START, STUDIO)
    assert word() in {"starting", "started"}


def test_using_it_takes_a_warning_back(alice_api, stopped):
    Machine.objects.update(warned_at="2030-01-01T00:00:00Z", last_active_at=None)
    alice_api.post(START, STUDIO)
    stopped.refresh_from_db()
    assert (stopped.warned_at, stopped.last_active_at is None) == (None, False)


@pytest.mark.parametrize("ask", [power.start, power.stop])
def test_a_machine_that_goes_while_it_is_asked_for_is_as_absent(alice, studio, ask, sandbox):
    looked_up = Machine.objects.get(pk=studio.pk)
    studio.delete()
    with pytest.raises(NoSuchMachine):
        ask(machine=looked_up, actor=alice, now=timezone.now())
