"""Builds in the hands of workers that die: pushing them, helping time along, and what must be true in the end."""

import io
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from accounts.models import User
from core import rate_limits
from deployments.models import Build, BuildLogChunk, Deployment
from deployments.services import building, preparation, pushes
from deployments.services.pushes import Push
from fly.models import FlyApp
from tests.deployments.archive_builder import entry, packed
from tests.fly.fly_assertions import apps_at_fly, caller
from tests.job_worker_process import Ground, Nursery, Worker
from tests.sandbox_process import SandboxProcess

INTERRUPTED = "The build was interrupted several times because its worker went away. Push again."


def archive_of(marker: str, *commands: str) -> bytes:
    """An archive whose build prints the marker and runs the commands."""
    lines = ["FROM scratch", "EXPOSE 3000", f"RUN echo {marker}", *(f"RUN {command}" for command in commands)]
    return packed(entry("Dockerfile", "\n".join(lines).encode()), dockerfile=False)


def wait_for(condition: Callable[[], Any], what: str, *, seconds: float = 40) -> None:
    """Wait until it is so; fails when it isn't in time."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"{what}: not within {seconds} s"
        time.sleep(0.05)


def wait_until_held(sandbox: SandboxProcess) -> None:
    """Wait until somebody has asked the question that was ordered to be answered late."""
    wait_for(lambda: not sandbox.control("GET", "/faults")["faults"], "Fly is asked")


def log_of(build_id: uuid.UUID) -> str:
    """The build's whole log, whose pieces must follow one another without a gap."""
    end, texts = 0, []
    for chunk in BuildLogChunk.objects.filter(build=build_id).order_by("start"):
        assert chunk.start == end
        end += len(chunk.text)
        texts.append(chunk.text)
    return "".join(texts)


class WorkGround:
    """Where the builds of a test are made."""

    def __init__(self, ground: Ground, nursery: Nursery, sandbox: SandboxProcess) -> None:
        self.ground, self.nursery, self.sandbox = ground, nursery, sandbox

    def prepared(self, person: User, app_name: str = "shop") -> Deployment:
        """The person's app, made at Fly."""
        return preparation.prepare(caller=caller(person), app_name=app_name, now=timezone.now())

    def push(self, person: User, archive: bytes, app_name: str = "shop", **variables: str) -> Build:
        """A build that waits for a worker."""
        rate_limits.forget_all()  # nobody pushes as often as a test does
        push = Push(archive=io.BytesIO(archive), variables=variables or None)
        return pushes.receive(caller=caller(person), app_name=app_name, push=push, now=timezone.now())

    def let_go(self, *builds: Build) -> None:
        """Set the clock to when a dead worker's builds may be taken by others, and have them found.

        Nobody does so before the dead one's flyctl is gone, which takes seconds, and taking over half a minute.
        """
        wait_for(lambda: not self.ground.flyctls(), "flyctl ends with its worker", seconds=30)
        long_ago = timezone.now() - timedelta(minutes=2)
        left = Build.objects.filter(pk__in=[build.pk for build in builds], finished_at=None)
        left.exclude(heartbeat_at=None).update(heartbeat_at=long_ago)
        FlyApp.objects.exclude(claimed_at=None).update(claimed_at=long_ago)
        building.sweep()

    def recover(self, build: Build, *, seconds: float = 40) -> Worker:
        """Let another worker go on with what a dead one has left, to its end."""
        self.let_go(build)
        worker = self.nursery.start()
        self.wait_until_over(build, seconds=seconds)
        return worker

    def wait_until_over(self, build: Build, *, seconds: float = 40) -> None:
        """Wait for the build's end."""
        wait_for(lambda: Build.objects.get(pk=build.pk).is_over, "the build ends", seconds=seconds)

    def require_whole(self, build: Build, marker: str) -> Build:
        """The build is live, and there is nothing besides: what every recovery has to come to."""
        build = Build.objects.select_related("deployment").get(pk=build.pk)
        assert (build.state, build.error) == (Build.State.LIVE, ""), log_of(build.pk)
        self.require_nothing_left()
        assert apps_at_fly(self.sandbox) == {build.deployment.fly_app_id}
        (machine,) = self.sandbox.state()["fly"]["machines"].values()
        assert machine["config"]["image"].endswith(f"build-{build.pk.hex}")
        assert not machine["leased"]
        assert marker in log_of(build.pk)
        assert build.log_length == len(log_of(build.pk))
        return build

    def require_nothing_left(self) -> None:
        """No folder, archive, secret or flyctl, no token that outlives its build, and never two at one app."""
        building.sweep()
        # Whoever ended the build may still be clearing up.
        wait_for(lambda: not self.ground.left_over(), "folders and archives go", seconds=30)
        wait_for(lambda: not self.ground.flyctls(), "flyctl is gone", seconds=30)
        assert self.ground.built_twice_at_once() == []
        assert not Build.objects.filter(finished_at=None).exists()
        assert not Build.objects.exclude(sealed_environment=None).exists()
        wait_for(lambda: not Build.objects.exclude(archive="").exists(), "archives are forgotten", seconds=30)
        latest = timezone.now() + timedelta(minutes=settings.BUILD_MINUTES + 21)
        for token in self.sandbox.state()["fly"]["tokens"].values():
            assert datetime.fromisoformat(token["expires_at"]) < latest
