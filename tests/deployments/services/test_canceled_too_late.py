"""Canceling a build, or its failure, when Fly has its image already: at Fly's own pace there is time for both."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import AuditEvent, User
from deployments.models import Build, Deployment
from deployments.services import building, builds, cancellation, destruction, display
from fly.clients.machines_api import Fly
from fly.models import Discrepancy
from fly.services import reconciliation
from tests.deployments.worker_harness import WorkGround, archive_of, log_of, wait_for
from tests.fly.deleting import delete_machine
from tests.sandbox_process import SandboxProcess

State = Build.State
OVERTAKEN = "Canceling came too late: Fly runs the new image already."
pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def shop(work: WorkGround, alice: User) -> Deployment:
    return work.prepared(alice)


@pytest.fixture
def first(work: WorkGround, alice: User, shop: Deployment) -> Build:
    """Live, before anything else is pushed."""
    build = work.push(alice, archive_of("one"))
    building.run_build(build.pk)
    return Build.objects.get(pk=build.pk)


def machines(sandbox: SandboxProcess) -> list[dict[str, Any]]:
    return list(sandbox.state()["fly"]["machines"].values())


def runs(sandbox: SandboxProcess, build: Build) -> bool:
    """Whether a machine has the build's image, be it on its way up."""
    return any(machine["config"]["image"].endswith(f"build-{build.pk.hex}") for machine in machines(sandbox))


@contextmanager
def being_built(build: Build) -> Iterator[threading.Thread]:
    """A worker at the build, in a thread of its own."""

    def work_on_it() -> None:
        building.run_build(build.pk)
        connection.close()

    thread = threading.Thread(target=work_on_it)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(60)


def cancel_while_updating(build: Build, alice: User, sandbox: SandboxProcess) -> Build:
    """The build, canceled at Fly's real pace while its machine is being changed; then time goes on."""
    sandbox.fly_clock(factor=1)
    with being_built(build):
        wait_for(lambda: runs(sandbox, build), "the machine is changed")
        assert cancellation.cancel_build(build.pk, alice)
        wait_for(lambda: Build.objects.get(pk=build.pk).state != State.BUILDING, "the worker has heard of it")
        sandbox.fly_clock(factor=1_000_000)
    build.refresh_from_db()
    return build


def test_a_version_that_fly_runs_is_never_said_to_be_canceled(
    work: WorkGround, alice: User, first: Build, sandbox: SandboxProcess
) -> None:
    build = cancel_while_updating(work.push(alice, archive_of("two")), alice, sandbox)
    assert (build.state, build.error, build.cancel_requested_at) == (State.LIVE, "", None)
    assert build.image == f"registry.fly.io/{first.deployment.fly_app_id}:build-{build.pk.hex}"
    assert OVERTAKEN in log_of(build.pk)
    assert runs(sandbox, build)
    assert AuditEvent.objects.filter(action="build.cancel_overtaken", target_id=str(build.pk)).count() == 1
    work.require_nothing_left()


def test_the_same_holds_for_the_first_version_of_an_app(
    work: WorkGround, alice: User, shop: Deployment, sandbox: SandboxProcess
) -> None:
    build = cancel_while_updating(work.push(alice, archive_of("one")), alice, sandbox)
    assert (build.state, build.image.rpartition(":")[2]) == (State.LIVE, f"build-{build.pk.hex}")
    assert display.current_release(shop) == build


def test_the_same_holds_for_a_redeployment(
    work: WorkGround, alice: User, first: Build, sandbox: SandboxProcess
) -> None:
    building.run_build(work.push(alice, archive_of("two")).pk)
    again = builds.redeploy(build=first, actor=alice, now=timezone.now())
    sandbox.fly_clock(factor=1)
    with being_built(again):
        wait_for(lambda: runs(sandbox, first), "the machine is changed")
        cancellation.cancel_build(again.pk, alice)
        wait_for(lambda: Build.objects.get(pk=again.pk).state != State.BUILDING, "the worker has heard of it")
        sandbox.fly_clock(factor=1_000_000)
    again.refresh_from_db()
    assert (again.state, again.image) == (State.LIVE, first.image)


def test_a_canceled_redeployment_of_what_runs_anyway_is_canceled(alice: User, first: Build) -> None:
    again = builds.redeploy(build=first, actor=alice, now=timezone.now())
    Build.objects.filter(pk=again.pk).update(
        state=State.BUILDING, cancel_requested_at=timezone.now(), attempt=1, heartbeat_at=timezone.now()
    )
    let_another_worker_take(again)
    assert Build.objects.get(pk=again.pk).state == State.CANCELED


def let_another_worker_take(build: Build) -> None:
    """As when the one that had it is dead."""
    Build.objects.filter(pk=build.pk).update(heartbeat_at=timezone.now() - timedelta(minutes=2))
    building.run_build(build.pk)


def test_it_is_asked_by_the_next_worker_when_the_first_has_died(
    work: WorkGround, alice: User, first: Build, sandbox: SandboxProcess
) -> None:
    build = work.push(alice, archive_of("two"))
    (machine,) = machines(sandbox)
    set_image(first.deployment, machine, f"registry.fly.io/{first.deployment.fly_app_id}:build-{build.pk.hex}")
    Build.objects.filter(pk=build.pk).update(
        state=State.BUILDING, cancel_requested_at=timezone.now(), attempt=1, heartbeat_at=timezone.now()
    )
    let_another_worker_take(build)
    assert Build.objects.get(pk=build.pk).state == State.LIVE


def set_image(deployment: Deployment, machine: dict[str, Any], image: str) -> None:
    """As flyctl leaves a machine."""
    fly = Fly.from_settings()
    config = {**machine["config"], "image": image}
    delete_machine(fly, deployment.fly_app_id, machine["id"])
    fly.create_machine(deployment.fly_app_id, name="app-2", region="iad", config=config)


def test_a_build_that_never_came_so_far_is_canceled(
    work: WorkGround, alice: User, first: Build, sandbox: SandboxProcess
) -> None:
    build = work.push(alice, archive_of("two", "sleep 30"))
    with being_built(build):
        wait_for(lambda: "sleep 30" in Build.objects.get(pk=build.pk).step, "it is being built")
        cancellation.cancel_build(build.pk, alice)
    build.refresh_from_db()
    assert (build.state, build.error, build.image) == (State.CANCELED, "This build was canceled.", "")
    assert display.current_release(first.deployment) == first


def test_when_fly_cannot_be_asked_the_log_says_so_and_the_comparison_finds_it(
    work: WorkGround, alice: User, first: Build, sandbox: SandboxProcess
) -> None:
    sandbox.fly_clock(factor=1)
    build = work.push(alice, archive_of("two"))
    with being_built(build):
        wait_for(lambda: runs(sandbox, build), "the machine is changed")
        sandbox.faults(target="fly", match=f"GET /v1/apps/{first.deployment.fly_app_id}/machines$", status=500, times=0)
        cancellation.cancel_build(build.pk, alice)
    sandbox.clear_faults()
    sandbox.fly_clock(factor=1_000_000)
    build.refresh_from_db()
    assert build.state == State.CANCELED
    assert "Fly can't be asked right now whether it runs this version" in log_of(build.pk)
    assert reconciliation.reconcile(now=timezone.now() + timedelta(minutes=10)).other == 1
    assert Discrepancy.objects.get().sentence == (
        f"Fly runs the version of build {build.short_id}, which ended as canceled. "
        "Deploy again the version that shall run."
    )


def test_a_failed_version_that_fly_runs_is_shown_as_what_runs(
    work: WorkGround, alice: User, first: Build, sandbox: SandboxProcess
) -> None:
    """flyctl waits for the machine in vain, gives up and takes nothing back."""
    build = work.push(alice, archive_of("two"))
    sandbox.faults(target="fly", match="GET /v1/apps/*/machines/*/wait", status=400, body={"error": "it crashed"})
    building.run_build(build.pk)
    build.refresh_from_db()
    assert (build.state, runs(sandbox, build)) == (State.FAILED, True)
    assert "To go back, deploy an earlier build again." in log_of(build.pk)
    assert display.current_release(first.deployment) == build
    assert reconciliation.reconcile(now=timezone.now() + timedelta(minutes=10)).other == 0
    building.run_build(builds.redeploy(build=first, actor=alice, now=timezone.now()).pk)
    assert runs(sandbox, first)


def test_an_app_that_is_being_destroyed_is_not_waited_for(
    work: WorkGround, alice: User, first: Build, sandbox: SandboxProcess
) -> None:
    build = work.push(alice, archive_of("two"))
    sandbox.fly_clock(factor=1)
    with being_built(build) as thread:
        wait_for(lambda: runs(sandbox, build), "the machine is changed")
        destruction.destroy(owner=alice, app_name="shop", now=timezone.now())
        thread.join(30)
        assert not thread.is_alive()
    sandbox.fly_clock(factor=1_000_000)
    building.sweep()
    assert not Deployment.objects.exists()
