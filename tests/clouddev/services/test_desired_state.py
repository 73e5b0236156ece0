"""What Fly couldn't do at once: workers ask again, whoever of them dies, until it is done or has proved impossible."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import AuditEvent
from clouddev.models import Machine
from clouddev.services import desired_state, fly_states, idle_policy, power, queue
from fly.clients.machines_api import FlyFailed
from tests.clouddev.builders import add_member, make_machine
from tests.clouddev.worker_harness import wait_for
from tests.fly.fly_assertions import at_once, changes_at_fly

pytestmark = pytest.mark.django_db(transaction=True)
START_AT_FLY = "POST /v1/apps/*/machines/*/start"
STILL_ACTIVE = {"error": "failed_precondition: machine still active, refusing to start"}
BUSY = (
    "The workspace could not be started. It was changing its state at Fly for more than a minute. "
    "Please try again in a moment."
)
SECOND = timedelta(seconds=1)
STUDIO = {"appName": "studio"}


@pytest.fixture
def studio(workshop, alice, sandbox):
    machine = make_machine(alice, "studio", sandbox=sandbox, fly_state="stopped")
    sandbox.clear_requests()
    return machine


@pytest.fixture
def refused(studio, alice, sandbox):
    """alice has asked for it to start, and Fly couldn't yet."""
    sandbox.faults(target="fly", match=START_AT_FLY, status=412, body=STILL_ACTIVE)
    power.start(machine=studio, actor=alice, now=timezone.now())
    ProcrastinateJob.objects.all().delete()
    studio.refresh_from_db()
    return studio


def state_at_fly(sandbox, machine):
    return sandbox.state()["fly"]["machines"][machine.fly_machine_id]["state"]


def started_by():
    return [event.actor_id for event in AuditEvent.objects.filter(action="machine.started")]


def told(api):
    data = api.get("/api/cloud-dev/status", appName="studio").json()["data"]
    return data["status"], data.get("message", "")


def jobs():
    return ProcrastinateJob.objects.filter(task_name=queue.APPLY_DESIRED_STATE).count()


def test_a_worker_asks_again_and_then_it_runs(refused, alice, alice_api, sandbox):
    assert told(alice_api) == ("starting", "The workspace is starting…")
    power.carry_on(refused.pk, now=timezone.now())
    assert state_at_fly(sandbox, refused) in {"starting", "started"}
    assert not Machine.objects.awaited().exists()
    assert started_by() == [alice.pk]


def test_while_fly_refuses_it_comes_back(refused, sandbox):
    sandbox.faults(target="fly", match=START_AT_FLY, status=412, body=STILL_ACTIVE, times=0)
    power.carry_on(refused.pk, now=refused.wanted_at + 80 * SECOND)
    assert Machine.objects.awaited().exists()
    assert jobs() == 1


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"status": 412, "body": STILL_ACTIVE}, BUSY),
        ({"status": 500}, "The workspace could not be started. Fly failed. Please try again in a moment."),
    ],
)
def test_what_fly_does_not_do_in_time_is_given_up_and_said(refused, alice, alice_api, sandbox, fault, sentence):
    sandbox.faults(target="fly", match=START_AT_FLY, times=0, **fault)
    power.carry_on(refused.pk, now=refused.wanted_at + 91 * SECOND)
    assert not Machine.objects.awaited().exists()
    assert (jobs(), started_by()) == (0, [])
    assert told(alice_api) == ("stopped", sentence)
    browser = Client()
    browser.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    for page in ("/workspaces/", f"/workspaces/{refused.pk}/"):
        assert sentence in browser.get(page).content.decode()
    news = browser.get("/workspaces/states").json()["workspaces"][str(refused.pk)]
    assert (news["failed"], news["can_be_made_anew"]) == (sentence, False)
    # Once it runs, however that came, there is nothing to complain about.
    sandbox.fly_machine(refused.fly_machine_id, state="starting")
    wait_for(lambda: told(alice_api)[1] != sentence, "nothing to complain about", seconds=10)


def test_without_room_it_is_given_up_at_once(refused, alice_api, sandbox):
    sandbox.fly_room("iad", machines=0)
    power.carry_on(refused.pk, now=timezone.now())
    sentence = "Fly has no room for the workspace in iad right now. Try again in a few minutes."
    assert told(alice_api) == ("stopped", f"The workspace could not be started. {sentence}")


def test_what_was_wished_long_ago_is_not_done_any_more(refused, alice_api, sandbox):
    sandbox.clear_requests()
    power.carry_on(refused.pk, now=refused.wanted_at + 301 * SECOND)
    assert sandbox.requests("fly") == []
    sentence = "The workspace could not be started. Nothing could see to it in time. Please try again."
    assert told(alice_api) == ("stopped", sentence)


def test_asking_again_takes_the_complaint_back(refused, alice, alice_api, sandbox):
    Machine.objects.update(wanted_at=None, error=BUSY)
    power.start(machine=refused, actor=alice, now=timezone.now())
    assert Machine.objects.get().error == ""


def test_a_machine_that_is_gone_at_fly_is_said_to_be(refused, sandbox):
    sandbox.fly_machine(refused.fly_machine_id, state="destroyed")
    power.carry_on(refused.pk, now=timezone.now())
    assert Machine.objects.get().error.startswith(
        "The workspace could not be started. Fly no longer has this workspace."
    )


def test_a_desired_state_that_was_replaced_is_not_gone_on_with(refused, alice, sandbox):
    power.stop(machine=refused, actor=alice, now=timezone.now())
    sandbox.clear_requests()
    power.carry_on(refused.pk, now=timezone.now())
    assert (sandbox.requests("fly"), state_at_fly(sandbox, refused)) == ([], "stopped")


@pytest.fixture
def promised(studio, alice, alice_api, sandbox):
    """alice was told that it starts, while it stops at Fly's own pace."""
    sandbox.fly_machine(studio.fly_machine_id, state="started")
    sandbox.fly_clock(factor=1)
    assert alice_api.post("/api/cloud-dev/stop", STUDIO).status_code == 200
    assert state_at_fly(sandbox, studio) == "stopping"
    assert alice_api.post("/api/cloud-dev/start", STUDIO).json() == {"data": {"status": "starting", "started": 1}}
    studio.refresh_from_db()
    return studio


@pytest.mark.parametrize("path", ["start", "stop"])
@pytest.mark.parametrize("question", ["GET /v1/apps/*/machines", "POST /v1/apps/*/machines/*"])
def test_a_desired_state_that_fly_refuses_falls_back_to_the_one_that_was_promised(
    promised, alice, bob, bob_api, sandbox, path, question
):
    add_member(promised, bob)
    if question.startswith("POST"):
        sandbox.fly_machine(promised.fly_machine_id, state="stopped" if path == "start" else "started")
    sandbox.faults(target="fly", match=question, status=500)
    assert bob_api.post(f"/api/cloud-dev/{path}", STUDIO).status_code == 502
    again = Machine.objects.awaited().get()
    assert (again.wanted, again.wanted_at, again.wanted_by_id) == ("started", promised.wanted_at, alice.pk)
    assert jobs() == 1

    sandbox.fly_clock(advance=30)
    power.carry_on(promised.pk, now=timezone.now())
    assert state_at_fly(sandbox, promised) in {"starting", "started"}
    assert started_by() == [alice.pk]
    assert not Machine.objects.exclude(promised_at=None).exists()


def test_of_three_wishes_the_last_one_that_was_promised_counts(promised, alice, bob, sandbox):
    """One that failed before the last did is not fallen back to, though it was asked for between them."""
    first = desired_state.record(machine=promised, wanted="stopped", actor=bob, now=timezone.now())
    second = desired_state.record(machine=promised, wanted="started", actor=bob, now=timezone.now())
    desired_state.withdraw(first, "Refused.")
    desired_state.withdraw(second, "Refused.")
    machine = Machine.objects.get()
    assert (machine.wanted, machine.wanted_by_id, machine.wanted_at) == ("started", alice.pk, promised.wanted_at)


def test_a_promise_that_a_later_desired_state_has_replaced_does_not_come_back(promised, alice_api, sandbox):
    assert alice_api.post("/api/cloud-dev/stop", STUDIO).json() == {"data": {"status": "stopped"}}
    sandbox.faults(target="fly", match="GET /v1/apps/*/machines", status=500)
    assert alice_api.post("/api/cloud-dev/start", STUDIO).status_code == 502
    assert not Machine.objects.awaited().exists()
    sentence = "The workspace could not be started. Fly failed. Please try again in a moment."
    assert told(alice_api)[1] == sentence


def test_a_promise_that_can_not_be_kept_ends_with_its_sentence(promised, alice_api, sandbox):
    sandbox.faults(target="fly", match="GET /v1/apps/*/machines", status=500, times=2)
    assert alice_api.post("/api/cloud-dev/start", STUDIO).status_code == 502
    power.carry_on(promised.pk, now=promised.wanted_at + 91 * SECOND)
    sentence = "The workspace could not be started. Fly failed. Please try again in a moment."
    assert Machine.objects.get().error == sentence
    assert not Machine.objects.awaited().exists()


def test_a_cron_job_that_fails_to_wake_it_takes_no_promise_away(promised, bob, sandbox):
    sandbox.faults(target="fly", match="GET /v1/apps/*/machines", status=500)
    with pytest.raises(FlyFailed):
        power.wake(machine=promised, actor=bob, now=timezone.now())
    assert Machine.objects.awaited().get().wanted_at == promised.wanted_at


def test_a_complaint_does_not_come_back_once_it_was_as_wished(refused, sandbox):
    Machine.objects.update(wanted_at=None, error=BUSY)
    fly_states.note_states()
    assert Machine.objects.get().error == BUSY
    sandbox.fly_machine(refused.fly_machine_id, state="started")
    fly_states.forget_states()
    fly_states.note_states()
    assert Machine.objects.get().error == ""


@pytest.mark.parametrize("used", ["started", "kept"])
def test_whoever_uses_it_while_it_is_stopped_for_want_of_use_gets_it_back(studio, alice, sandbox, used):
    """It was looked at before; the order to stop it came after they were told that it runs."""
    sandbox.fly_machine(studio.fly_machine_id, state="started")
    seen = Machine.objects.get()
    if used == "started":
        assert power.start(machine=studio, actor=alice, now=timezone.now()) == 0
    else:
        until = timezone.now() + timedelta(hours=8)
        idle_policy.keep_alive(machine=studio, until=until, actor=alice, now=timezone.now())
    assert power.stop_idle(machine=seen, now=timezone.now()) == 1
    assert (Machine.objects.awaited().get().wanted, jobs()) == ("started", 1)


def test_one_that_nobody_uses_stays_stopped(studio, sandbox):
    sandbox.fly_machine(studio.fly_machine_id, state="started")
    assert power.stop_idle(machine=studio, now=timezone.now()) == 1
    assert not Machine.objects.awaited().exists()


def test_a_machine_that_was_destroyed_meanwhile_is_not_said_to_start(studio, alice, workshop, sandbox):
    seen = Machine.objects.get()
    workshop.destroy(studio, by=alice)
    with pytest.raises(power.NotReady):
        power.start(machine=seen, actor=alice, now=timezone.now())
    assert changes_at_fly(sandbox) == []


def test_an_order_for_an_older_desired_state_that_came_late_is_taken_back(refused, alice, sandbox):
    late = desired_state.awaited(refused)
    power.stop(machine=refused, actor=alice, now=timezone.now())
    sandbox.fly_machine(refused.fly_machine_id, state="started")
    desired_state.fulfil(late, changed=True)
    assert jobs() == 1
    power.carry_on(refused.pk, now=timezone.now())
    assert state_at_fly(sandbox, refused) in {"stopping", "stopped"}


def test_of_two_at_once_one_records_it(refused, alice, sandbox):
    at_once(2, lambda _: power.carry_on(refused.pk, now=timezone.now()))
    power.carry_on(refused.pk, now=timezone.now())
    assert (started_by(), Machine.objects.awaited().exists()) == ([alice.pk], False)


def test_a_machine_on_its_way_out_is_not_started(refused, sandbox, workshop, alice):
    workshop.destroy(refused, by=alice)
    sandbox.clear_requests()
    power.carry_on(refused.pk, now=timezone.now())
    desired_state.sweep(now=timezone.now() + 60 * SECOND)
    assert (sandbox.requests("fly"), jobs()) == ([], 0)


def test_a_lost_job_is_found_by_the_sweep(refused):
    desired_state.sweep(now=refused.wanted_at + 9 * SECOND)
    assert jobs() == 0
    desired_state.sweep(now=refused.wanted_at + 11 * SECOND)
    desired_state.sweep(now=refused.wanted_at + 12 * SECOND)
    assert jobs() == 1


@pytest.mark.parametrize(
    "point",
    [
        "before fly.clients.machines_api.machines:MachineCalls.start_machine",
        "after fly.clients.machines_api.machines:MachineCalls.start_machine",
        "before clouddev.services.desired_state:fulfil",
        "before clouddev.services.desired_state:hand_over",
    ],
)
def test_another_worker_goes_on_when_one_is_killed(refused, alice, sandbox, workers, point):
    if "hand_over" in point:
        sandbox.faults(target="fly", match=START_AT_FLY, status=412, body=STILL_ACTIVE)
    Machine.objects.update(wanted_at=timezone.now() - 20 * SECOND)
    desired_state.sweep(now=timezone.now())
    workers.start(point).wait_until_dead()
    assert Machine.objects.awaited().exists()

    desired_state.sweep(now=timezone.now())
    workers.start()
    wait_for(lambda: not Machine.objects.awaited().exists(), "another worker ends it")

    assert started_by() == [alice.pk]
    assert state_at_fly(sandbox, refused) == "started"
    assert len(changes_at_fly(sandbox)) <= 3


@pytest.mark.slow(20)
def test_stopping_and_starting_right_away_works_at_flys_pace(workshop, workers, alice, alice_api, sandbox):
    machine = make_machine(alice, "studio", sandbox=sandbox)
    sandbox.fly_clock(factor=1)
    workers.start()
    assert alice_api.post("/api/cloud-dev/stop", {"appName": "studio"}).status_code == 200
    answer = alice_api.post("/api/cloud-dev/start", {"appName": "studio"})
    assert answer.json() == {"data": {"status": "starting", "started": 1}}
    wait_for(lambda: state_at_fly(sandbox, machine) == "started", "it runs again", seconds=50)
    wait_for(lambda: started_by() == [alice.pk], "that is recorded", seconds=20)


def test_an_earlier_desired_state_that_fails_takes_nothing_from_a_later_one_of_the_same(studio, alice):
    now = timezone.now()
    first, second = (
        desired_state.record(machine=studio, wanted=Machine.Wanted.STARTED, actor=alice, now=now + number * SECOND)
        for number in range(2)
    )
    desired_state.give_up(first, "The workspace could not be started.")
    studio.refresh_from_db()
    assert (studio.wanted_at, studio.error) == (second.at, "")


def test_of_two_wishes_of_one_moment_the_one_that_was_replaced_does_not_count_as_the_other(studio, alice):
    now = timezone.now()
    start, stop = (
        desired_state.record(machine=studio, wanted=wanted, actor=alice, now=now)
        for wanted in (Machine.Wanted.STARTED, Machine.Wanted.STOPPED)
    )
    desired_state.give_up(start, "The workspace could not be started.")
    studio.refresh_from_db()
    assert (studio.wanted, studio.wanted_at, studio.error) == (stop.wanted, now, "")
