"""Carrying a run out: the machine is woken, the workflow started once, its end noticed."""

import json
from datetime import timedelta

import pytest

from accounts.models import AuditEvent, Organization, User
from clouddev.clients import dev_server
from clouddev.machine_tokens import Use
from clouddev.models import Machine, Member
from clouddev.services import cron
from clouddev.services.cron import run_steps
from tests.clouddev.builders import add_member, make_machine
from tests.clouddev.cron_jobs import NOON, START, go_on, make_job, make_run, outcome, started, starts_asked

pytestmark = pytest.mark.django_db
ASK = "GET /apps/*/dev/api/runs/*"
HEALTH = "GET /apps/*/dev/__health"
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
MAYBE = run_steps.MAYBE_STARTED


# --- what goes well -------------------------------------------------------------------------------


def test_a_workflow_is_started_in_its_creators_name_and_its_end_is_noticed(alice, run, studio, sandbox):
    end = go_on(run, NOON)
    assert outcome(run) == ("succeeded", "")
    (there,) = started(sandbox)
    assert (there["workflow"], there["input"], there["runId"]) == ("nightly", {"n": 1}, run.run_id)
    issued = int(NOON.timestamp())
    assert there["claims"] == {
        "sub": str(alice.pk),
        "app": studio.fly_app_id,
        "login": "alice",
        "use": Use.CRON,
        "iat": issued,
        "exp": issued + 24 * 3600,
    }
    assert (run.sent_at, run.finished_at) == (NOON, end)
    assert end - NOON <= 3 * SECOND


@pytest.mark.parametrize(("at_github", "login"), [("alice-two", "alice-two"), ("", "alice")])
def test_its_creator_is_named_by_their_login_at_github(alice, run, sandbox, at_github, login):
    User.objects.filter(pk=alice.pk).update(github_login=at_github)
    go_on(run, NOON)
    assert [there["claims"]["login"] for there in started(sandbox)] == [login]


def test_a_run_counts_as_use_of_the_machine(run, studio, alice):
    other = make_machine(alice, "other")
    Machine.objects.update(last_active_at=NOON - DAY, warned_at=NOON - DAY)
    go_on(run, NOON)
    studio.refresh_from_db()
    assert (studio.last_active_at, studio.warned_at) == (NOON, None)
    assert Machine.objects.filter(pk=other.pk, last_active_at=NOON - DAY, warned_at=NOON - DAY).exists()


def test_a_long_run_is_asked_about_ever_more_seldom(run, studio, sandbox):
    sandbox.fly_app(studio.fly_app_id, workflows={"nightly": {"seconds": 5000}})
    now, pauses = NOON, []
    for _ in range(55):
        cron.carry_on(run.pk, now=now)
        run.refresh_from_db()
        pauses.append((run.next_step_at - now).total_seconds())
        now = run.next_step_at
    assert run.state == "running"
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (2, 60)
    sandbox.fly_clock(advance=5001)
    go_on(run, now)
    assert outcome(run) == ("succeeded", "")
    assert len(starts_asked(sandbox)) == 1


def test_a_run_that_fails_says_so_in_the_machines_words(run, studio, sandbox):
    said = "no\0 luck:\n  " + "x" * 999
    sandbox.fly_app(studio.fly_app_id, workflows={"nightly": {"status": "FAILED", "error": said}})
    go_on(run, NOON)
    assert outcome(run) == ("failed", ("no luck: " + "x" * 999)[:300])


@pytest.mark.parametrize(
    ("word", "state", "error"),
    [
        ("SUCCESS", "succeeded", ""),
        ("completed", "succeeded", ""),
        ("Succeeded", "succeeded", ""),
        ("error", "failed", "The run ended as “error”."),
        ("CANCELLED", "failed", "The run ended as “cancelled”."),
    ],
)
def test_the_usual_words_for_an_end_are_known(run, studio, sandbox, word, state, error):
    sandbox.fly_app(studio.fly_app_id, workflows={"nightly": {"status": word}})
    go_on(run, NOON)
    assert outcome(run) == (state, error)


def test_a_name_is_one_segment_of_the_address_whatever_is_in_it(studio, sandbox):
    name = "../runs/x?y=1#z/ä"
    sandbox.fly_app(studio.fly_app_id, workflows={name: {}})
    run = make_run(make_job(studio, name))
    go_on(run, NOON)
    assert outcome(run) == ("succeeded", "")
    assert started(sandbox)[0]["workflow"] == name


@pytest.mark.parametrize("body", [{"data": {"runId": "{}"}}, {"runId": "{}"}, {"run": {"runId": "{}"}}])
def test_answers_may_be_wrapped(run, studio, sandbox, body):
    wrapped = json.loads(json.dumps(body).replace("{}", "run-9"))
    sandbox.faults(target="fly", match=START, status=202, body=wrapped)
    cron.carry_on(run.pk, now=NOON)
    run.refresh_from_db()
    assert (run.state, run.run_id) == ("running", "run-9")
    sandbox.faults(target="fly", match=ASK, status=200, body={"data": {"status": "done"}})
    go_on(run, NOON + 2 * SECOND)
    assert outcome(run) == ("succeeded", "")


# --- waking ---------------------------------------------------------------------------------------


def test_a_stopped_machine_is_woken_first(alice, sandbox):
    machine = make_machine(alice, sandbox=sandbox, fly_state="stopped")
    sandbox.fly_app(machine.fly_app_id, workflows={"nightly": {}}, delay=None)
    sandbox.fly_clock(factor=0)
    # Fly's proxy would wake it too; it must not be left to that.
    sandbox.faults(target="fly", match=HEALTH, status=503, times=1)
    run = make_run(make_job(machine))
    cron.carry_on(run.pk, now=NOON)
    run.refresh_from_db()
    assert (run.state, run.sent_at, run.tries, run.next_step_at) == ("starting", None, 1, NOON + 2 * SECOND)
    event = AuditEvent.objects.get(action="machine.started")
    assert (event.actor_id, event.target_id) == (alice.pk, str(machine.pk))

    sandbox.fly_clock(factor=10, advance=15)
    go_on(run, NOON + 2 * SECOND)
    assert outcome(run) == ("succeeded", "")
    assert AuditEvent.objects.filter(action="machine.started").count() == 1


def test_a_machine_that_never_answers_is_given_up_on(run, sandbox):
    sandbox.faults(target="fly", match=HEALTH, status=503, times=0)
    end = go_on(run, NOON)
    assert outcome(run) == ("failed", "The workspace did not wake up: its dev server does not answer.")
    assert timedelta(minutes=5) < end - NOON < timedelta(minutes=10)
    assert starts_asked(sandbox) == []


def test_what_fly_says_against_waking_is_told(alice, sandbox):
    machine = make_machine(alice, sandbox=sandbox, fly_state="stopped")
    sandbox.fly_room(machine.region, machines=0)
    sandbox.faults(target="fly", match=HEALTH, status=503, times=0)
    run = make_run(make_job(machine), tries=run_steps.MOST_TRIES - 1)
    go_on(run, NOON)
    sentence = f"Fly has no room for the workspace in {machine.region} right now. Try again in a few minutes."
    assert outcome(run) == ("failed", sentence)


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (Machine.State.CREATING, "The workspace is still being made. Please try again when it is running."),
        (Machine.State.FAILED, "The workspace could not be made. Create it again."),
        (Machine.State.DESTROYING, "The workspace is being destroyed. Create it again in a minute."),
    ],
)
def test_a_machine_that_is_not_there_is_not_asked(run, sandbox, state, sentence):
    Machine.objects.update(state=state)
    go_on(run, NOON)
    assert outcome(run) == ("failed", sentence)
    assert sandbox.requests("fly") == []


def test_a_machine_that_is_gone_at_fly_is_not_waited_for(run, studio, sandbox):
    sandbox.remove_fly_app(studio.fly_app_id)
    sandbox.faults(target="fly", match=HEALTH, status=503, times=0)
    go_on(run, NOON)
    assert outcome(run) == ("failed", "Fly no longer has this workspace. Destroy it and create it again.")


# --- who may --------------------------------------------------------------------------------------


def _removed(bob, machine):
    Member.objects.filter(machine=machine, user=bob).delete()
    return run_steps.LOST_ACCESS


def _suspended(bob, _machine):
    bob.is_active = False
    bob.save()
    return run_steps.LOST_ACCESS


def _organization_suspended(_bob, machine):
    Organization.objects.filter(pk=machine.organization_id).update(suspended_at=NOON)
    return run_steps.SUSPENDED


@pytest.mark.parametrize("lose", [_removed, _suspended, _organization_suspended])
def test_a_job_whose_creator_lost_access_is_paused_and_starts_nothing(bob, studio, sandbox, lose):
    add_member(studio, bob)
    job = make_job(studio, by=bob)
    run = make_run(job)
    reason = lose(bob, studio)
    go_on(run, NOON)
    assert outcome(run) == ("failed", reason)
    job.refresh_from_db()
    assert (job.paused_at, job.paused_reason) == (NOON, reason)
    event = AuditEvent.objects.get(action="cron_job.paused")
    assert (event.actor_id, event.details["reason"]) == (None, reason)
    assert sandbox.requests("fly") == []


def test_a_server_without_a_key_starts_nothing(run, sandbox, settings):
    settings.DEV_UI_JWT_PRIVATE_KEY = ""
    go_on(run, NOON)
    state, error = outcome(run)
    assert state == "failed"
    assert "DEV_UI_JWT_PRIVATE_KEY" in error
    assert starts_asked(sandbox) == []


# --- what goes wrong at the start -----------------------------------------------------------------


def test_an_unknown_workflow_is_told(studio, sandbox):
    run = make_run(make_job(studio, "other"))
    go_on(run, NOON)
    assert outcome(run) == ("failed", "The workspace has no workflow of this name. Add it there, or delete this job.")
    assert len(starts_asked(sandbox)) == 1


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (400, "The workspace answered 400."),
        (401, "The workspace did not accept our token. Destroy it and create it again if it stays so."),
        (302, "The workspace answered 302."),
        (500, f"The workspace answered 500. {MAYBE}"),
        (502, f"The workspace answered 502. {MAYBE}"),
    ],
)
def test_a_start_that_is_answered_is_never_sent_again(run, sandbox, status, sentence):
    headers = {"Location": "http://127.0.0.1:9/elsewhere"} if status == 302 else {}
    sandbox.faults(target="fly", match=START, status=status, body={}, headers=headers)
    go_on(run, NOON)
    assert outcome(run) == ("failed", sentence)
    assert len(starts_asked(sandbox)) == 1


@pytest.mark.parametrize("drop", ["before", "after"])
def test_a_start_whose_answer_was_lost_is_not_repeated(run, sandbox, drop):
    sandbox.faults(target="fly", match=START, drop=drop)
    go_on(run, NOON)
    assert outcome(run) == ("failed", f"The connection broke while the workspace was asked. {MAYBE}")
    assert len(starts_asked(sandbox)) == 1
    assert len(started(sandbox)) == (drop == "after")


def test_a_start_that_is_not_answered_in_time_is_not_repeated(run, sandbox, monkeypatch):
    monkeypatch.setattr(dev_server, "_SECONDS", 0.3)
    sandbox.faults(target="fly", match=START, delay=2)
    go_on(run, NOON)
    assert outcome(run) == ("failed", f"The workspace did not answer in time. {MAYBE}")
    assert len(starts_asked(sandbox)) == 1


@pytest.mark.parametrize(
    "body", ["<html>", {}, {"runId": ""}, {"runId": ".."}, {"runId": None}, {"runId": "x" * 201}, [1], {"runId": "a\0"}]
)
def test_an_answer_without_an_id_ends_the_run(run, sandbox, body):
    sandbox.faults(target="fly", match=START, status=200, body=body)
    go_on(run, NOON)
    assert outcome(run) == ("failed", f"The workspace answered without a runId. {MAYBE}")
    assert len(starts_asked(sandbox)) == 1


def test_an_answer_of_many_objects_is_not_parsed(run, sandbox):
    sandbox.faults(target="fly", match=START, status=200, body=[{}] * 30_000)
    go_on(run, NOON)
    assert outcome(run) == ("failed", f"The connection broke while the workspace was asked. {MAYBE}")
    assert len(starts_asked(sandbox)) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_start_that_surely_did_nothing_is_tried_again(run, sandbox, status):
    sandbox.faults(target="fly", match=START, status=status, times=3)
    go_on(run, NOON)
    assert outcome(run) == ("succeeded", "")
    assert run.tries == 3
    assert len(started(sandbox)) == 1


def test_a_machine_that_refuses_connections_is_tried_again_and_given_up_on(run, settings, monkeypatch):
    monkeypatch.setattr(run_steps.status, "is_healthy", lambda _machine: True)
    settings.FLY_APP_URL = "http://127.0.0.1:9/{app}"
    go_on(run, NOON)
    assert outcome(run) == ("failed", "The workspace can't be reached right now. Please try again in a moment.")
    assert (run.tries, run.sent_at) == (run_steps.MOST_TRIES, None)
