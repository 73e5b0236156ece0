"""Removals that fail: how long until the next try, and databases that were made elsewhere."""

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.utils import timezone

from accounts.services import users
from clouddev.clients.data_database import DataDatabase
from clouddev.models import Machine
from clouddev.services import kept_env, provisioning
from clouddev.services.provisioning.run import DatabaseElsewhere
from tests.clouddev.api.expectations import jobs_of

pytestmark = pytest.mark.django_db(transaction=True)
State = Machine.State
NEVER = "DELETE /v1/apps/*"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """What is asked again is asked at once."""
    monkeypatch.setattr("core.leases._PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("clouddev.services.provisioning.lease._PAUSE_SECONDS", 0.01)


def try_once(machine):
    """Let a worker try to remove it; gives the seconds until the next one may."""
    Machine.objects.filter(pk=machine.pk).update(heartbeat_at=None)
    provisioning.work(machine.pk)
    left = Machine.objects.get(pk=machine.pk).heartbeat_at + timedelta(seconds=30) - timezone.now()
    return left.total_seconds()


def test_a_removal_that_keeps_failing_is_tried_less_and_less_often(workshop, alice, sandbox):
    machine = workshop.make(alice)
    sandbox.faults(target="fly", match=NEVER, status=500, times=0)
    workshop.destroy(machine, by=alice)
    pauses = [try_once(machine) for _ in range(7)]
    assert pauses == pytest.approx([30, 60, 120, 240, 480, 600, 600], abs=5)
    assert not Machine.objects.free().exists()
    status = workshop.status(alice)
    assert (status.status, status.message) == ("destroying", "Removing the workspace and its volume…")

    sandbox.clear_faults()
    workshop.let_go()
    provisioning.work(machine.pk)
    workshop.require_nothing_left()


def test_the_hundredth_try_comes_no_later_than_the_tenth(workshop, alice, sandbox):
    machine = workshop.make(alice)
    sandbox.faults(target="fly", match=NEVER, status=500, times=0)
    workshop.destroy(machine, by=alice)
    Machine.objects.update(attempt=100_000)
    assert try_once(machine) == pytest.approx(600, abs=5)


def test_what_could_not_be_made_in_many_attempts_is_undone_as_patiently_as_any(workshop, alice, sandbox):
    machine = workshop.order(alice)
    Machine.objects.update(attempt=7)
    sandbox.faults(target="fly", match="POST /v1/apps$", status=401)
    sandbox.faults(target="fly", match="GET /v1/apps/*", status=500, times=0)
    sandbox.faults(target="fly", match=NEVER, status=500, times=0)
    assert try_once(machine) == pytest.approx(30, abs=5)
    assert Machine.objects.get().state == State.UNDOING
    assert try_once(machine) == pytest.approx(60, abs=5)


@pytest.mark.parametrize("minutes", [59, 61])
def test_what_the_caller_wanted_set_is_kept_for_an_hour_after_the_machine_is_given_up(
    workshop, alice, settings, data_url, minutes
):
    machine = workshop.order(alice)
    settings.DATABASE_DATA_URL = urlsplit(data_url)._replace(netloc="admin:not-a-secret@127.0.0.1:9").geturl()
    provisioning.work(machine.pk)
    kept_env.forget_over(now=timezone.now() + timedelta(minutes=minutes))
    machine.refresh_from_db()
    # As long as the database can't be reached, the rest waits; the hour goes on all the same.
    assert (machine.state, machine.sealed_environment is None) == (State.UNDOING, minutes > 60)


def test_what_a_suspended_person_wanted_set_is_forgotten_as_soon_as_the_machine_is_given_up(workshop, alice, sandbox):
    machine = workshop.order(alice)
    users.suspend(user=alice, by=None)
    sandbox.faults(target="fly", match="POST /v1/apps$", status=422, times=0)
    provisioning.work(machine.pk)
    machine.refresh_from_db()
    assert (machine.state, machine.sealed_environment, machine.variables_kept_until) == (State.FAILED, None, None)


def test_one_attempt_at_a_removal_does_not_keep_a_worker_long(workshop, alice, sandbox):
    machine = workshop.make(alice)
    sandbox.faults(target="fly", match=NEVER, status=500, times=0)
    workshop.destroy(machine, by=alice)
    sandbox.clear_requests()
    provisioning.work(machine.pk)
    asked = [entry for entry in sandbox.requests("fly") if entry["method"] == "DELETE"]
    assert 1 <= len(asked) <= 9


def test_who_destroys_what_is_being_undone_in_vain_does_not_wait_for_the_pause(workshop, alice, sandbox):
    machine = workshop.make(alice)
    sandbox.faults(target="fly", match=NEVER, status=500, times=0)
    Machine.objects.update(state=State.UNDOING, attempt=8)
    assert try_once(machine) == pytest.approx(600, abs=5)
    workshop.destroy(machine, by=alice)
    beat = Machine.objects.get().heartbeat_at
    assert beat <= timezone.now()
    assert jobs_of(machine) >= 1


@pytest.fixture
def elsewhere(workshop, alice):
    """A machine on its way out, whose database was made at a host that is configured no more."""
    machine = workshop.make(alice)
    Machine.objects.update(database_host="former.example")
    workshop.destroy(machine, by=alice)
    return machine


def test_a_database_that_is_elsewhere_is_not_taken_for_dropped(workshop, alice, elsewhere, data_url, settings, caplog):
    DataDatabase(url=data_url).drop(elsewhere.database_schema)
    for _ in range(2):
        try_once(elsewhere)
        status = workshop.status(alice)
        assert (status.status, status.message) == ("destroying", DatabaseElsewhere.default)
    assert f"{elsewhere.database_schema} is at former.example" in caplog.text
    assert "not-a-secret" not in caplog.text

    Machine.objects.update(database_host="127.0.0.1")
    workshop.let_go()
    provisioning.work(elsewhere.pk)
    assert not Machine.objects.exists()


def test_a_database_that_came_along_to_another_host_is_dropped_there(workshop, elsewhere):
    provisioning.work(elsewhere.pk)
    assert not Machine.objects.exists()
    workshop.require_nothing_left()


def test_one_that_was_dropped_before_a_crash_is_not_looked_for_elsewhere(workshop, elsewhere, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("clouddev.services.provisioning.run._forget", lambda _: 1 / 0)
        try_once(elsewhere)
    assert Machine.objects.get().database_host == "127.0.0.1"
    workshop.let_go()
    provisioning.work(elsewhere.pk)
    assert not Machine.objects.exists()
    workshop.require_nothing_left()
