"""A build whose image Fly runs: it can end in no other way than as released or live, and is asked after."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import AuditEvent, User
from deployments.models import Build, Deployment
from deployments.services import building, builds, cancellation, destruction
from deployments.services.building import readiness
from deployments.services.building.lease import take
from tests.deployments.builders import make_build, make_deployment
from tests.deployments.worker_harness import WorkGround, archive_of, log_of, wait_for
from tests.sandbox_process import SandboxProcess

State = Build.State
pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def shop(work: WorkGround, alice: User) -> Deployment:
    return work.prepared(alice)


@pytest.fixture
def build(work: WorkGround, alice: User, shop: Deployment) -> Build:
    """Pushed, for this process to build."""
    return work.push(alice, archive_of("x"))


def silent_build(build: Build, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> Build:
    """The build when its worker has done its work, and the app has not answered."""
    monkeypatch.setattr(readiness, "_PATIENCE_SECONDS", 1.0)
    sandbox.fly_app(build.deployment.fly_app_id, status=500)
    building.run_build(build.pk)
    build.refresh_from_db()
    return build


def left_in_the_middle(build: Build, **values: Any) -> None:
    """As a worker leaves it that died after the release."""
    long_ago = timezone.now() - timedelta(minutes=2)
    released = {"state": State.RELEASED, "released_at": long_ago, "attempt": 1, "heartbeat_at": long_ago}
    Build.objects.filter(pk=build.pk).update(**released | values)


def rechecks() -> int:
    """How many questions are to be asked."""
    return ProcrastinateJob.objects.filter(task_name="deployments.recheck", status="todo").count()


def forget_rechecks() -> None:
    """As when the worker that was to ask has died."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs WHERE task_name = 'deployments.recheck'")


@contextmanager
def somebody_working_on(build: Build) -> Iterator[threading.Thread]:
    """A worker in a thread of its own, that has come to where it asks the app."""

    def work_on_it() -> None:
        building.run_build(build.pk)
        connection.close()

    thread = threading.Thread(target=work_on_it)
    thread.start()
    try:
        wait_for(lambda: Build.objects.filter(pk=build.pk, state=State.RELEASED).exists(), "it is released")
        yield thread
    finally:
        thread.join(40)


def test_an_app_that_does_not_answer_is_released_and_asked_again(
    build: Build, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_build(make_deployment(build.pushed_by, "blog"), state=State.RELEASED, finished_at=timezone.now())
    build = silent_build(build, sandbox, monkeypatch)
    assert (build.state, build.error, build.is_over) == (State.RELEASED, "", True)
    assert "nothing answers at" in log_of(build.pk)
    assert rechecks() == 1
    forget_rechecks()
    building.recheck(build.pk)
    assert (Build.objects.get(pk=build.pk).state, rechecks()) == (State.RELEASED, 1)
    sandbox.fly_app(build.deployment.fly_app_id, status=200)
    forget_rechecks()
    building.recheck(build.pk)
    assert (Build.objects.get(pk=build.pk).state, rechecks()) == (State.LIVE, 0)
    assert Build.objects.get(pk=other.pk).state == State.RELEASED


def test_whoever_was_to_ask_again_may_die(
    build: Build, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent_build(build, sandbox, monkeypatch)
    # Nobody asks after one that was never released, or is live.
    failed, _live = (make_build(build.deployment, state=state) for state in (State.FAILED, State.LIVE))
    forget_rechecks()
    building.sweep()
    building.sweep()
    assert rechecks() == 1
    sandbox.fly_app(build.deployment.fly_app_id, status=200)
    building.recheck(failed.pk)
    assert Build.objects.get(pk=failed.pk).state == State.FAILED


def test_after_a_quarter_of_an_hour_nobody_asks_any_more(
    build: Build, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent_build(build, sandbox, monkeypatch)
    Build.objects.update(finished_at=timezone.now() - timedelta(minutes=16))
    forget_rechecks()
    # Though another one is still asked.
    other = make_build(make_deployment(build.pushed_by, "blog"), state=State.RELEASED, finished_at=timezone.now())
    building.recheck(build.pk)
    other.delete()
    building.sweep()
    assert rechecks() == 0
    # But whoever is late, since no worker ran meanwhile, does ask.
    sandbox.fly_app(build.deployment.fly_app_id, status=200)
    building.recheck(build.pk)
    assert Build.objects.get(pk=build.pk).state == State.LIVE


def test_one_that_has_cost_four_workers_ends_as_released_and_is_asked_after(build: Build) -> None:
    left_in_the_middle(build, attempt=4)
    building.run_build(build.pk)
    build.refresh_from_db()
    assert (build.state, build.error, build.is_over, rechecks()) == (State.RELEASED, "", True, 1)
    assert AuditEvent.objects.get(target_id=str(build.pk), action="build.released").details == {"app": "shop"}


def test_a_push_meanwhile_is_told_why_it_has_to_wait(build: Build) -> None:
    left_in_the_middle(build)
    with pytest.raises(builds.JustReleased, match="still being checked"):
        builds.require_idle(build.deployment)


def test_canceling_it_is_refused_and_the_app_is_still_waited_for(
    build: Build, alice: User, sandbox: SandboxProcess
) -> None:
    sandbox.fly_app(build.deployment.fly_app_id, status=500)
    with somebody_working_on(build) as thread:
        with pytest.raises(cancellation.AlreadyReleased):
            cancellation.cancel_build(build.pk, alice)
        thread.join(3)
        assert thread.is_alive()
        sandbox.fly_app(build.deployment.fly_app_id, status=200)
    build.refresh_from_db()
    assert (build.state, build.error, build.is_over) == (State.LIVE, "", True)


def test_a_cancel_that_flyctl_has_overtaken_changes_nothing(build: Build, alice: User) -> None:
    attempt = take(build.pk)
    assert attempt is not None
    assert cancellation.cancel_build(build.pk, alice)
    attempt.listen()
    attempt.note_released(image="registry.fly.io/shop:build-1")
    assert attempt.was_overtaken
    attempt.listen()
    attempt.require_going()
    build.refresh_from_db()
    assert (build.state, build.cancel_requested_at) == (State.RELEASED, None)


def test_destroying_the_app_ends_it_at_once(
    build: Build, alice: User, sandbox: SandboxProcess, work: WorkGround
) -> None:
    sandbox.fly_app(build.deployment.fly_app_id, status=500)
    with somebody_working_on(build) as thread:
        assert not destruction.destroy(owner=alice, app_name="shop", now=timezone.now())
        thread.join(10)
        assert not thread.is_alive()
    building.sweep()
    assert not Deployment.objects.exists()
