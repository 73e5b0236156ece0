"""Runs that are under way: their end is noticed whatever is in the way, and each step is one worker's."""

from datetime import timedelta

import pytest
from django.core.cache import cache

from clouddev.models import CronRun
from clouddev.services import cron
from clouddev.services.cron import run_steps
from clouddev.services.cron.lease import LASTS, take
from tests.clouddev.builders import make_machine
from tests.clouddev.cron_jobs import NOON, START, enqueued, go_on, make_job, make_run, outcome, started, starts_asked
from tests.fly.fly_assertions import at_once

pytestmark = pytest.mark.django_db
ASK = "GET /apps/*/dev/api/runs/*"
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
MAYBE = run_steps.MAYBE_STARTED


# --- what goes wrong later ------------------------------------------------------------------------


@pytest.fixture
def running(run, studio, sandbox):
    """A run that takes an hour, just begun."""
    sandbox.fly_app(studio.fly_app_id, workflows={"nightly": {"seconds": 3600}})
    cron.carry_on(run.pk, now=NOON)
    run.refresh_from_db()
    assert run.state == "running"
    sandbox.clear_requests()
    return run


@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"status": 401}, {"drop": "after"}, {"status": 200, "body": "<html>"}, {"status": 404}]
)
def test_a_machine_that_does_not_tell_is_asked_again(running, sandbox, fault):
    sandbox.faults(target="fly", match=ASK, times=2, **fault)
    sandbox.fly_clock(advance=3601)
    go_on(running, NOON)
    assert outcome(running) == ("succeeded", "")
    assert starts_asked(sandbox) == []


def test_a_run_that_the_machine_has_forgotten_is_over(running, sandbox):
    sandbox.faults(target="fly", match=ASK, status=404, times=0)
    end = go_on(running, NOON)
    assert outcome(running) == ("failed", "The workspace no longer knows the run.")
    assert end - NOON > timedelta(minutes=1)


def test_a_run_that_does_not_end_is_given_up_on_after_a_day(running):
    CronRun.objects.filter(pk=running.pk).update(next_step_at=NOON + DAY + SECOND)
    go_on(running, NOON + DAY)
    assert outcome(running) == ("failed", "The run did not end within 24 hours; nobody asks for it any more.")


def test_the_day_begins_when_it_was_sent_not_when_its_machine_was_to_wake_for_it(running):
    CronRun.objects.filter(pk=running.pk).update(started_at=NOON - timedelta(hours=1))
    cron.carry_on(running.pk, now=NOON + DAY - SECOND)
    running.refresh_from_db()
    assert running.error == ""


def test_asking_does_not_wake_a_machine_that_was_stopped(running, studio, sandbox):
    sandbox.fly_machine(studio.fly_machine_id, state="stopped")
    cache.clear()
    cron.carry_on(running.pk, now=NOON + 5 * SECOND)
    assert [entry["path"] for entry in sandbox.requests("fly")] == ["/v1/orgs/sandbox/machines"]
    assert sandbox.state()["fly"]["machines"][studio.fly_machine_id]["state"] == "stopped"
    running.refresh_from_db()
    assert (running.state, running.next_step_at) == ("running", NOON + 65 * SECOND)


# --- workers --------------------------------------------------------------------------------------


def test_the_next_step_is_given_to_a_worker(run):
    cron.carry_on(run.pk, now=NOON)
    assert enqueued() == [str(run.pk)]


def test_a_step_is_taken_when_it_is_time_and_not_before(run, sandbox):
    cron.carry_on(run.pk, now=NOON - SECOND)
    assert sandbox.requests("fly") == []
    go_on(run, NOON)
    sandbox.clear_requests()
    cron.carry_on(run.pk, now=NOON + DAY)
    assert sandbox.requests("fly") == []


def test_a_worker_that_died_before_it_asked_is_followed_by_another(run, sandbox):
    assert take(run.pk, now=NOON) is not None
    cron.carry_on(run.pk, now=NOON + LASTS - SECOND)
    assert starts_asked(sandbox) == []
    go_on(run, NOON + LASTS)
    assert outcome(run) == ("succeeded", "")
    assert len(started(sandbox)) == 1


def test_a_worker_that_died_while_it_asked_is_followed_by_none_that_asks(run, sandbox):
    turn = take(run.pk, now=NOON)
    assert turn is not None
    turn.write(sent_at=NOON)
    go_on(run, NOON + LASTS)
    assert outcome(run) == ("failed", f"Starting the workflow was interrupted. {MAYBE}")
    assert starts_asked(sandbox) == []


def test_a_worker_that_wakes_up_late_starts_nothing(run, sandbox, monkeypatch):
    """It sleeps between taking the step and asking; another one has started the workflow meanwhile."""
    healthy = run_steps.status.is_healthy

    def sleep(machine):
        monkeypatch.undo()
        go_on(run, NOON + LASTS)
        return healthy(machine)

    monkeypatch.setattr(run_steps.status, "is_healthy", sleep)
    cron.carry_on(run.pk, now=NOON)
    assert outcome(run) == ("succeeded", "")
    assert len(starts_asked(sandbox)) == 1


@pytest.mark.django_db(transaction=True)
def test_of_several_workers_at_once_one_starts_the_workflow(alice, sandbox):
    machine = make_machine(alice, sandbox=sandbox)
    sandbox.fly_app(machine.fly_app_id, workflows={"nightly": {"seconds": 60}})
    run = make_run(make_job(machine))
    at_once(5, lambda _number: cron.carry_on(run.pk, now=NOON))
    assert len(starts_asked(sandbox)) == len(started(sandbox)) == 1


def test_a_job_that_is_deleted_while_its_run_starts_is_no_trouble(run, sandbox, monkeypatch):
    monkeypatch.setattr(run_steps.status, "is_healthy", lambda _machine: bool(run.job.delete()))
    cron.carry_on(run.pk, now=NOON)
    assert not CronRun.objects.exists()
    assert starts_asked(sandbox) == []


def test_no_token_is_in_the_log_or_in_the_rows(run, sandbox, caplog):
    sandbox.faults(target="fly", match=START, drop="after")
    go_on(run, NOON)
    assert "eyJ" not in caplog.text
    assert "eyJ" not in str(CronRun.objects.values().get())
