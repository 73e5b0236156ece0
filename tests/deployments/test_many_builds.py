"""Fifty builds of many people on two workers that are killed at random: none is lost, mixed up or done twice."""

import fcntl
import os
import random
import re
import time
from datetime import timedelta

import pytest
from django.conf import settings
from django.db.models import Count
from django.utils import timezone

from deployments.models import Build, Deployment
from deployments.services import building
from tests.conftest import make_person
from tests.deployments.worker_harness import INTERRUPTED, archive_of, log_of
from tests.fly.fly_assertions import apps_at_fly

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(460)]
BUILDS, PEOPLE, APPS_OF_EACH, WORKERS, KILLS = 50, 6, 3, 2, 7
# After so many of the kills nobody helps: others take over by the clock.
UNAIDED, TAKEOVER_SECONDS = 2, 25
SECONDS = 400
_TAKEN = re.compile(r"build ([0-9a-f-]{36}): attempt (\d+)")
_MARKER = re.compile(r"marker-of-[\w-]+")
State = Build.State


@pytest.mark.slow(200)
def test_fifty_builds_on_two_workers_with_random_kills_all_end_and_none_runs_twice_at_once(work, sandbox):
    day = BusyDay(work, random.Random(20))
    for number in range(PEOPLE):
        day.settle_in(f"person{number}")

    day.run()

    builds = list(Build.objects.all())
    assert len(builds) == BUILDS
    for build in builds:
        assert (build.state, build.error) in {(State.LIVE, ""), (State.INTERRUPTED, INTERRUPTED)}
        markers = set(_MARKER.findall(log_of(build.pk)))
        assert markers <= {day.markers[build.pk]}
        assert markers or build.state == State.INTERRUPTED
    # Otherwise nothing was proved.
    assert day.kills == KILLS
    assert len(day.unaided) == UNAIDED
    assert day.taken_over
    assert min(day.taken_over) > TAKEOVER_SECONDS
    assert any(build.attempt > 1 for build in builds)
    assert sum(build.state == State.LIVE for build in builds) > BUILDS * 0.9
    assert apps_at_fly(sandbox) == set(Deployment.objects.values_list("fly_app_id", flat=True))
    require_one_machine_each_with_the_last_image(sandbox)
    work.require_nothing_left()


def require_one_machine_each_with_the_last_image(sandbox):
    running = {}
    for machine in sandbox.state()["fly"]["machines"].values():
        assert machine["app"] not in running
        running[machine["app"]] = machine["config"]["image"]
    for app in Deployment.objects.all():
        last = app.builds.filter(state=State.LIVE).order_by("finished_at").last()
        assert last is None or running[app.fly_app_id].endswith(f"build-{last.pk.hex}")


def is_at(pk, attempt):
    """Whether the build is neither over nor taken by another."""
    return Build.objects.filter(pk=pk, attempt=attempt, finished_at=None).exists()


class BusyDay:
    """Pushes whenever an app is idle, kills workers now and then, and starts others in their place."""

    def __init__(self, work, chance):
        self.work, self.chance = work, chance
        self.apps, self.markers = [], {}
        self.kills = 0
        self.workers, self.left_by_the_dead = [], []
        self.unaided, self.taken_over = [], []

    def settle_in(self, login):
        person = make_person(login)
        for number in range(APPS_OF_EACH):
            self.apps.append((person, self.work.prepared(person, f"app-{number}")))

    def run(self):
        until, kill_at = time.monotonic() + SECONDS, time.monotonic() + 2
        self.workers = [self.start() for _ in range(WORKERS)]
        while len(self.markers) < BUILDS or Build.objects.filter(finished_at=None).exists():
            assert time.monotonic() < until, list(Build.objects.filter(finished_at=None).values())
            self.require_fair_shares()
            self.push_somewhere()
            if self.kills < KILLS and time.monotonic() > kill_at:
                self.kill_one()
                kill_at = time.monotonic() + self.chance.uniform(0.5, 3)
            self.let_others_go_on()
            self.see_who_was_taken_over()
            time.sleep(0.1)

    def start(self):
        return self.work.nursery.start(WORKER_CONCURRENCY=3)

    def require_fair_shares(self):
        """No organization has more running than it may, and no app more than one."""
        for field, most in (("organization", settings.BUILDS_PER_ORGANIZATION), ("deployment", 1)):
            counts = Build.objects.running().order_by().values(field).annotate(count=Count("pk"))
            assert all(row["count"] <= most for row in counts)

    def push_somewhere(self):
        busy = set(Build.objects.filter(finished_at=None).values_list("deployment", flat=True))
        idle = [(person, app) for person, app in self.apps if app.pk not in busy]
        for person, app in self.chance.sample(idle, min(len(idle), 4, BUILDS - len(self.markers))):
            marker = f"marker-of-{person.username}-{app.app_name}-{len(self.markers)}"
            slow = self.chance.choice(["echo quick", "sleep 0.5", "sleep 1"])
            build = self.work.push(person, archive_of(marker, slow), app.app_name)
            self.markers[build.pk] = marker

    def kill_one(self):
        number = self.chance.randrange(WORKERS)
        worker = self.workers[number]
        worker.kill()
        self.kills += 1
        left = [(pk, int(attempt)) for pk, attempt in _TAKEN.findall(worker.log)]
        unfinished = [(pk, attempt) for pk, attempt in left if is_at(pk, attempt)]
        if unfinished and len(self.unaided) < UNAIDED:
            self.unaided.append((time.monotonic(), unfinished))
        else:
            self.left_by_the_dead += left
        self.workers[number] = self.start()

    def see_who_was_taken_over(self):
        """Note how long the builds of those had to wait whose worker was killed without anybody helping."""
        for killed_at, builds in self.unaided:
            for pk, attempt in list(builds):
                if is_at(pk, attempt):
                    continue
                builds.remove((pk, attempt))
                # What the dead one had sent already may have arrived after it: then nobody took over.
                if Build.objects.get(pk=pk).attempt > attempt:
                    self.taken_over.append(time.monotonic() - killed_at)

    def let_others_go_on(self):
        """Set the clock for the builds of the dead whose flyctl is gone."""
        for pk, attempt in list(self.left_by_the_dead):
            left = Build.objects.filter(pk=pk, attempt=attempt, finished_at=None)
            build = left.select_related("deployment").first()
            if build is not None and self.has_flyctl(build):
                continue
            left.update(heartbeat_at=timezone.now() - timedelta(minutes=2))
            self.left_by_the_dead.remove((pk, attempt))
        building.sweep()

    def has_flyctl(self, build):
        """Whether somebody holds the lock that flyctl holds while it lives."""
        lock = os.open(self.work.ground.lock_of(build.deployment.fly_app_id), os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(lock)
        return False
