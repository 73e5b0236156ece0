"""Workers that are killed while they build: another one goes on, and nothing is left behind."""

import os
import signal
import time

import psutil
import pytest
from django.db import connection

from accounts.models import AuditEvent
from deployments.models import Build, Deployment
from fly.models import FlyApp
from tests.deployments.worker_harness import INTERRUPTED, archive_of, log_of, wait_for, wait_until_held
from tests.fly.fly_assertions import kinds_at_fly
from tests.job_worker_process import WorkerProcess

pytestmark = pytest.mark.django_db(transaction=True)
MARKER = "this-is-the-build-of-shop"
_BUILDING = "deployments.services.building"
_FLY = "fly.clients.machines_api.apps:AppCalls"
WAITING = [f"before {_BUILDING}.run:take_in_turn"]
MAKING_THE_APP = [
    f"before {_FLY}.create_app",
    f"after {_FLY}.create_app",
    f"after {_FLY}.assign_address",
    "after deployments.services.preparation:finish",
]
BEFORE_FLYCTL = [
    f"after {_BUILDING}.run:take_in_turn",
    f"before {_BUILDING}.run:_extract",
    f"after {_BUILDING}.run:_extract",
    "before deployments.fly_toml:render",
    f"before {_FLY}.deploy_token",
    f"after {_FLY}.deploy_token",
]
WITH_FLYCTL = [
    "after fly.clients.flyctl.run:_SupervisedProcess.__enter__",
    f"before {_BUILDING}.lease:BuildLease.note_released",
]
RELEASED = [
    f"after {_BUILDING}.lease:BuildLease.note_released",
    f"before {_BUILDING}.readiness:answers",
    f"after {_BUILDING}.readiness:answers",
    f"before {_BUILDING}.lease:BuildLease.finish",
]
OVER = [
    f"after {_BUILDING}.lease:BuildLease.finish",
    f"before {_BUILDING}.run:forget_archive",
    "after deployments.services.archive_storage:remove",
]
ASKING_LATER = [
    f"before {_BUILDING}:recheck",
    f"before {_BUILDING}.readiness:answers",
    f"after {_BUILDING}.readiness:answers",
]
SILENT = [
    f"before {_BUILDING}.lease:BuildLease.finish",
    "before deployments.services.queue:recheck_later",
    "after deployments.services.queue:recheck_later",
    f"after {_BUILDING}.lease:BuildLease.finish",
    f"before {_BUILDING}.run:forget_archive",
    *ASKING_LATER,
]
# The build itself doesn't ask the app, and is over as released.
IMPATIENT = {f"{_BUILDING}.readiness:_PATIENCE_SECONDS": 0.0}
POINTS = [*WAITING, *MAKING_THE_APP, *BEFORE_FLYCTL, *WITH_FLYCTL, *RELEASED, *OVER]


@pytest.fixture
def shop(work, alice):
    return work.prepared(alice)


def lose_the_app(shop, sandbox):
    """As if it had never been made at Fly, so that the job has to do that too."""
    sandbox.remove_fly_app(shop.fly_app_id)
    Deployment.objects.filter(pk=shop.pk).update(state=Deployment.State.PREPARING)
    FlyApp.objects.filter(pk=shop.fly_app_id).update(state=FlyApp.State.INTENDED, ready_at=None)


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.replace("deployments.", ""))
def test_a_build_whose_worker_is_killed_becomes_live_all_the_same(work, alice, shop, sandbox, point):
    """At every step from before it is taken until after its archive is gone."""
    variables = {} if point in MAKING_THE_APP else {"VITE_COLOR": "red"}
    build = work.push(alice, archive_of(MARKER), **variables)
    if not variables:
        lose_the_app(shop, sandbox)
    work.nursery.start(point).wait_until_dead()

    work.recover(build)

    build = work.require_whole(build, MARKER)
    assert build.attempt == (1 if point in WAITING + OVER else 2)
    # Once Fly runs the image, that is not made again.
    if point not in WITH_FLYCTL:
        assert log_of(build.pk).count("==> Building image with Docker") == 1
    assert kinds_at_fly(sandbox, shop.fly_app_id) == ["shared_v4", "v6"]
    assert AuditEvent.objects.filter(action="build.released").count() == 1


def test_a_build_whose_worker_is_killed_in_the_middle_of_the_image_is_built_again(work, alice, shop):
    build = work.push(alice, archive_of(MARKER, "sleep 2"))
    worker = work.nursery.start()
    wait_for(lambda: "still at it" in log_of(build.pk), "flyctl builds")
    worker.kill()

    work.recover(build)

    build = work.require_whole(build, MARKER)
    assert build.attempt == 2
    assert "The worker of this build went away; this is attempt 2." in log_of(build.pk)


def test_a_machine_that_was_being_made_when_the_worker_was_killed_stays_the_only_one(work, alice, shop, sandbox):
    build = work.push(alice, archive_of(MARKER))
    sandbox.faults(target="fly", match="GET */machines/*/wait", delay=3)
    worker = work.nursery.start()
    wait_until_held(sandbox)
    # All at once, as when their machine is lost: nobody gives back the lease, which lasts five minutes.
    worker.signal(signal.SIGSTOP)
    for pid in work.ground.flyctls():
        os.kill(pid, signal.SIGKILL)
    worker.kill()
    (machine,) = sandbox.state()["fly"]["machines"].values()
    assert machine["leased"]
    sandbox.fly_clock(advance=301)

    work.recover(build)

    assert work.require_whole(build, MARKER).attempt == 2


def test_a_build_that_kills_every_worker_is_interrupted_and_asks_to_be_pushed_again(work, alice, shop):
    build = work.push(alice, archive_of(MARKER), VITE_COLOR="red")
    for _ in range(4):
        work.nursery.start(BEFORE_FLYCTL[-1]).wait_until_dead()
        work.let_go(build)

    work.recover(build)

    build.refresh_from_db()
    assert (build.state, build.error) == (Build.State.INTERRUPTED, INTERRUPTED)
    work.require_nothing_left()


@pytest.mark.parametrize("point", SILENT, ids=lambda point: point.replace("deployments.", ""))
def test_an_app_that_answers_late_becomes_live_whoever_was_to_ask_it_is_killed(work, alice, shop, sandbox, point):
    sandbox.fly_app(shop.fly_app_id, status=500)
    build = work.push(alice, archive_of(MARKER))
    first = work.nursery.start(point, constants=IMPATIENT)
    if point in ASKING_LATER:
        work.wait_until_over(build)
        ask_now()
    first.wait_until_dead()
    work.let_go(build)
    work.nursery.start(constants=IMPATIENT)
    work.wait_until_over(build)
    assert Build.objects.get(pk=build.pk).state == Build.State.RELEASED

    sandbox.fly_app(shop.fly_app_id, status=200)
    wait_for(lambda: ask_now() or Build.objects.get(pk=build.pk).state == Build.State.LIVE, "somebody asks again")

    work.require_whole(build, MARKER)
    assert log_of(build.pk).count("==> Building image with Docker") == 1
    assert AuditEvent.objects.filter(action="build.released").count() == 1


def ask_now():
    """Set the clock to when released apps are asked again, and to when a dead worker's jobs are given to others."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET scheduled_at = now() WHERE scheduled_at > now()")


def test_a_worker_that_is_told_to_end_hands_its_build_over_at_once(work, alice, shop):
    build = work.push(alice, archive_of(MARKER, "sleep 3"))
    first = work.nursery.start()
    wait_for(lambda: "still at it" in log_of(build.pk), "flyctl builds")
    work.nursery.start()

    began = time.monotonic()
    first.stop(seconds=20)
    work.wait_until_over(build)

    whole = work.require_whole(build, MARKER)
    assert (whole.attempt, whole.hand_overs) == (2, 1)
    # Long before anybody would have been missed.
    assert time.monotonic() - began < 28


@pytest.mark.slow(45)
def test_within_a_minute_others_go_on_for_a_killed_worker_and_for_a_frozen_one(work, alice, bob, sandbox):
    """Nobody helps. The frozen worker comes back after 40 seconds and changes nothing any more."""
    markers = {}
    for person in (alice, bob):
        work.prepared(person)
        marker = f"marker-of-{person.username}"
        markers[work.push(person, archive_of(marker, "sleep 4"))] = marker
    # Each takes one build. This one freezes while it writes the log.
    frozen = work.nursery.start(f"frozen {_BUILDING}.lease:BuildLease.update_now", WORKER_CONCURRENCY=1)
    with WorkerProcess(work.ground, WORKER_CONCURRENCY="1") as killed:
        wait_for(lambda: any("still at it" in log_of(build.pk) for build in markers), "the other one builds")
        wait_for(lambda: psutil.Process(frozen.pid).status() == psutil.STATUS_STOPPED, "it freezes")
        killed.kill()
    at = time.monotonic()
    with WorkerProcess(work.ground):
        wait_for(lambda: all_taken_again(markers), "both are taken by another", seconds=60)
        wait_for(lambda: time.monotonic() - at > 40, "the frozen one is missed", seconds=45)
        frozen.signal(signal.SIGCONT)
        for build in markers:
            work.wait_until_over(build)
        wait_for(lambda: "was cut off" in frozen.log, "the frozen one notices", seconds=20)
    work.require_nothing_left()
    for build, marker in markers.items():
        build.refresh_from_db()
        assert (build.state, build.attempt) == (Build.State.LIVE, 2)
        first, _, second = log_of(build.pk).partition("this is attempt 2")
        # The old attempt says nothing after the new one began.
        assert second.count("==> Building image with Docker") == 1
        assert [found in first + second for found in markers.values()].count(True) == 1
        assert marker in second
        assert AuditEvent.objects.filter(action="build.released", target_id=str(build.pk)).count() == 1
    assert len(sandbox.state()["fly"]["machines"]) == 2


def all_taken_again(builds):
    return Build.objects.filter(pk__in=[build.pk for build in builds], attempt=2).count() == len(builds)
