"""Finding what nobody is at any more. Runs every few seconds on one of the workers."""

import logging
import uuid
from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone

from deployments.models import Build, Deployment
from deployments.services import destruction, pushes, queue
from deployments.services.building import readiness
from deployments.services.building.build_dir import remove_left_over
from deployments.services.building.run import forget_archive
from fly.models import FlyApp

logger = logging.getLogger(__name__)

_AT_ONCE = 100
# Each takes seconds when Fly is slow, and builds must not wait for that.
_MOST_REMOVALS = 10
_RECHECK_EVERY, _RECHECK_FOR = timedelta(seconds=30), timedelta(minutes=15)


def sweep() -> None:
    """Give deserted and forgotten builds to a worker, and clear up after those that are over. Can be repeated."""
    for build_id in Build.objects.deserted().values_list("pk", flat=True)[:_AT_ONCE]:
        logger.warning("build %s: its worker is gone", build_id)
        queue.enqueue(build_id)
    for build_id in Build.objects.waiting().order_by("created_at", "pk").values_list("pk", flat=True)[:_AT_ONCE]:
        queue.enqueue(build_id)
    for build_id in _silent().values_list("pk", flat=True)[:_AT_ONCE]:
        queue.recheck_later(build_id, after=_RECHECK_EVERY)
    pushes.sweep_unaccepted()
    for build in Build.objects.exclude(finished_at=None).exclude(archive="")[:_AT_ONCE]:
        _forget_archive(build)
    _finish_destroying()
    # Of this machine only; where there are several workers, each of them sweeps now and then.
    remove_left_over()


def _forget_archive(build: Build) -> None:
    """Remove the archive; one that can't be removed yet keeps no other from it."""
    try:
        forget_archive(build)
    except Exception:  # whatever the storage's client raises
        logger.exception("the archive of build %s can't be removed yet", build.pk)


def _finish_destroying() -> None:
    """Remove apps whose removal had to wait until their builds were stopped.

    Once that has begun at Fly and failed, the rest is the reconciler's: Fly isn't asked every few seconds.
    """
    now = timezone.now()
    not_begun = FlyApp.objects.free(now=now).filter(state__in=[FlyApp.State.INTENDED, FlyApp.State.READY])
    waiting = Deployment.objects.filter(state=Deployment.State.DESTROYING, fly_app__in=not_begun)
    for deployment_id in waiting.values_list("pk", flat=True)[:_MOST_REMOVALS]:
        try:
            destruction.finish(deployment_id=deployment_id, now=now)
        except Exception as error:  # noqa: BLE001 - a storage raises what it likes, and nothing is lost
            logger.warning("deployment %s is not removed yet: %s", deployment_id, type(error).__name__)


def recheck(build_id: uuid.UUID) -> None:
    """See whether a released app answers by now, every half minute for a quarter of an hour."""
    released = Build.objects.filter(pk=build_id, state=Build.State.RELEASED).exclude(finished_at=None)
    build = released.select_related("deployment").first()
    if build is None:
        return
    if readiness.answers(build.deployment.url):
        released.update(state=Build.State.LIVE)
    elif _silent().filter(pk=build_id).exists():
        queue.recheck_later(build_id, after=_RECHECK_EVERY)


def _silent() -> QuerySet[Build]:
    """Builds that ended lately as released, whose apps have not answered yet."""
    return Build.objects.filter(state=Build.State.RELEASED, finished_at__gt=timezone.now() - _RECHECK_FOR)
