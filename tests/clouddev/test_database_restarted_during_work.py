"""PostgreSQL is restarted while a worker is at something long: it goes on, and nobody is told that something failed."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from accounts.models import AuditEvent
from clouddev.models import CronRun, IdlePolicy, Machine
from clouddev.services import cron, idle_policy, power, provisioning
from core.database import outlast_restarts
from tests.clouddev.builders import make_machine
from tests.clouddev.cron_jobs import make_job
from tests.clouddev.worker_harness import OWN_DATABASE

pytestmark = pytest.mark.django_db(transaction=True)
State = Machine.State
START_AT_FLY, STOP_AT_FLY = "POST /v1/apps/*/machines/*/start", "POST /v1/apps/*/machines/*/stop"
STILL_ACTIVE = {"error": "failed_precondition: machine still active, refusing to start"}
OTHERS = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr("core.leases._PAUSE_SECONDS", 0.05)
    monkeypatch.setattr("clouddev.services.provisioning.lease._PAUSE_SECONDS", 0.1)


def restart_during(sandbox, question: str, do: Callable[[], object]) -> None:
    """Do it on a thread whose connections are all ended while it asks Fly the question; then it has ended."""
    sandbox.faults(target="fly", match=question, delay=0.7)
    problems: list[BaseException] = []

    def work() -> None:
        try:
            do()
        except BaseException as problem:  # noqa: BLE001 - told to the test
            problems.append(problem)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    until = time.monotonic() + 30
    while sandbox.control("GET", "/faults")["faults"]:
        assert time.monotonic() < until, f"nobody asked {question}"
        time.sleep(0.02)
    with connection.cursor() as cursor:
        cursor.execute(OTHERS)
        assert cursor.fetchone()[0] >= 1, "there was nothing to end"
    thread.join(60)
    assert not thread.is_alive()
    assert problems == []


@pytest.mark.parametrize(
    "question", ["POST /v1/apps$", "POST */ip_assignments", "POST */secrets", "POST */volumes", "POST */machines"]
)
def test_a_machine_that_is_being_made_is_made(workshop, alice, sandbox, question):
    machine = workshop.order(alice, environment=OWN_DATABASE)
    restart_during(sandbox, question, lambda: provisioning.work(machine.pk))
    told = workshop.status(alice)
    assert (told.status in {"creating", "running", "starting"}, told.error) == (True, "")
    if Machine.objects.filter(state=State.CREATING).exists():
        workshop.let_go()
        provisioning.work(machine.pk)
    workshop.require_whole(machine)


def test_a_machine_that_is_being_destroyed_is_destroyed(workshop, alice, sandbox):
    machine = workshop.make(alice, environment=OWN_DATABASE)
    workshop.destroy(machine, by=alice)
    restart_during(sandbox, "DELETE /v1/apps/*", lambda: provisioning.work(machine.pk))
    workshop.let_go()
    provisioning.work(machine.pk)
    workshop.require_nothing_left()


def test_a_wish_is_fulfilled_and_recorded(workshop, alice, sandbox):
    machine = make_machine(alice, sandbox=sandbox, fly_state="stopped")
    sandbox.faults(target="fly", match=START_AT_FLY, status=412, body=STILL_ACTIVE)
    power.start(machine=machine, actor=alice, now=timezone.now())
    restart_during(sandbox, START_AT_FLY, lambda: power.carry_on(machine.pk, now=timezone.now()))
    assert not Machine.objects.awaited().exists()
    assert AuditEvent.objects.filter(action="machine.started").count() == 1


def test_stopping_for_want_of_use_is_recorded_and_goes_on_with_the_others(workshop, alice, sandbox):
    long_ago = timezone.now() - timedelta(days=2)
    for name in ("studio", "atelier"):
        make_machine(alice, name, sandbox=sandbox, created_at=long_ago)
    Machine.objects.update(last_active_at=timezone.now() + timedelta(hours=1))
    now = timezone.now() + timedelta(days=1)
    IdlePolicy.objects.create(
        organization=alice.personal_organization,
        stop_after_minutes=10,
        changed_at=long_ago,
        then="stop",
        days_to_react=7,
    )
    restart_during(sandbox, STOP_AT_FLY, lambda: outlast_restarts(lambda: idle_policy.look(now=now)))
    assert AuditEvent.objects.filter(action="machine.stopped_idle").count() == 2


def test_a_cron_run_goes_on_in_seconds(workshop, alice, sandbox):
    machine = make_machine(alice, sandbox=sandbox, fly_state="stopped")
    job = make_job(machine, cron_expression="0 0 1 1 *", next_run_at=timezone.now() - timedelta(seconds=5))
    sandbox.fly_app(machine.fly_app_id, dev_health=503)
    cron.tick(now=timezone.now())
    run = CronRun.objects.get(job=job)
    restart_during(sandbox, "GET /v1/apps/*/machines", lambda: cron.carry_on(run.pk, now=timezone.now()))
    run.refresh_from_db()
    assert (run.state, run.error) == ("starting", "")
    assert run.next_step_at < timezone.now() + timedelta(seconds=15)


def test_resealing_goes_on_where_it_was(workshop, alice, settings):
    make_machine(alice)
    out = StringIO()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    connection.connection.close()
    call_command("reseal", stdout=out)
    assert out.getvalue().split("\n")[:3] == ["resealed: 0", "current: 1", "unreadable: 0"]
