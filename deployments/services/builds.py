"""An app's builds, and building none: deploying again what was built before."""

import uuid
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max

from accounts import audit
from accounts.policies import Acting
from accounts.services import access
from core.errors import Conflict, Malformed
from deployments.models import Build, Deployment
from deployments.models.builds import LATEST_FIRST
from deployments.services import archive_storage, queue
from deployments.services.access import NoSuchApp, own_app

PAGE = 50
_NEXT = timedelta(microseconds=1)
SUPERSEDED = "A newer build took this one's place."


class NoImage(Conflict):
    """409: the build has made nothing that could be deployed."""

    default = "This build made no image, so there is nothing to deploy again. Push again."


class BuildRunning(Conflict):
    """409: a build of this app is under way."""

    default = "A build of this app is running already. Wait until it is over, or cancel it, and try again."


class JustReleased(BuildRunning):
    """409: Fly runs the app's last build, and whether it answers is still to be seen."""

    default = "This app was released a moment ago, and is still being checked. Try again in a minute."


class BuildStopping(Conflict):
    """409: a build of this app is being canceled."""

    default = "The last build of this app is still being canceled. Try again in a few seconds."


def list_builds(*, caller: Acting, app_name: str, before: uuid.UUID | None) -> list[Build]:
    """The newest builds of the caller's app, newest first, PAGE at most; with `before` those older than that one.

    Raises NoSuchApp, or Malformed when the app has no build `before`.
    """
    return builds_of(own_app(person=caller, app_name=app_name, action="deployments.view"), before=before)


def builds_of(deployment: Deployment, *, before: uuid.UUID | None = None, limit: int = PAGE) -> list[Build]:
    """Give the same for an app whose row the caller has."""
    builds = Build.objects.filter(deployment=deployment).select_related("pushed_by").defer("sealed_environment")
    if before is not None:
        since = Build.objects.filter(deployment=deployment, pk=before).values_list("created_at", flat=True).first()
        if since is None:
            raise Malformed("before: This app has no such build.")
        # Of the same moment are two in this order: where a page ends between them, the next one has the other.
        builds = builds.filter(created_at__lte=since).exclude(created_at=since, pk__gte=before)
    return list(builds.order_by("-created_at", "-pk")[:limit])


def latest_builds(deployments: list[Deployment]) -> dict[uuid.UUID, Build]:
    """The latest build of each of the apps that has one, in one query."""
    latest = Build.objects.filter(deployment__in=deployments).order_by("deployment_id", *LATEST_FIRST)
    return {build.deployment_id: build for build in latest.distinct("deployment_id").defer("sealed_environment")}


def redeploy(*, build: Build, actor: access.Doer, now: datetime) -> Build:
    """Queue a new build that deploys the image of an old one; builds that wait make room for it.

    Who may is for the caller to see to. Raises NoImage, BuildRunning, BuildStopping, AccessEnded, or NoSuchApp for an
    app on its way out.
    """
    if not build.image:
        raise NoImage
    with transaction.atomic():
        access.hold(actor)
        # One at a time: two at once would each see nothing running.
        app = Deployment.objects.select_for_update(no_key=True).filter(pk=build.deployment_id).first()
        if app is None or app.state == Deployment.State.DESTROYING:
            raise NoSuchApp
        supersede(deployment=app, actor=actor, now=now)
        require_idle(app)
        again = Build.objects.create(
            deployment=app,
            organization_id=app.organization_id,
            pushed_by_id=actor.id,
            commit=build.commit,
            from_image=build.image,
            internal_port=build.internal_port,
            created_at=now,
            accepted_at=acceptance(app, now=now),
            secrets_version=secrets_version(app),
        )
        audit.record(
            "build.redeployed",
            actor=actor,
            target=again,
            details={"app": app.app_name, "image_of": str(build.pk)},
        )
        queue.enqueue(again.pk)
    return again


def acceptance(deployment: Deployment, *, now: datetime) -> datetime:
    """When a build that is being accepted counts as such: after all others of the app, whatever the clocks say.

    Within the caller's transaction, which holds the app's lock.
    """
    last = Build.objects.filter(deployment=deployment).aggregate(last=Max("accepted_at"))["last"]
    return now if last is None else max(now, last + _NEXT)


def secrets_version(deployment: Deployment) -> int | None:
    """The latest version of the app's secrets that Fly has told us, for machines to wait for."""
    known: int | None = Build.objects.filter(deployment=deployment).aggregate(latest=Max("secrets_version"))["latest"]
    return known


def require_idle(deployment: Deployment) -> None:
    """Return if no worker is at a build of the app. Raises BuildRunning or BuildStopping."""
    running = Build.objects.running().filter(deployment=deployment).first()
    if running is not None:
        if running.state == Build.State.RELEASED:
            raise JustReleased
        raise BuildStopping if running.cancel_requested_at else BuildRunning


def supersede(*, deployment: Deployment, actor: audit.Actor, now: datetime) -> None:
    """Cancel the app's builds that wait, since a newer one comes. Within the caller's transaction.

    One that a worker takes at this moment is left to it. A push that is still arriving is left to its own end: when
    it is accepted it takes the place of whatever waits then, so that the last one accepted is built.
    """
    for build in Build.objects.waiting().filter(deployment=deployment):
        waits = Build.objects.waiting().filter(pk=build.pk)
        if waits.update(state=Build.State.CANCELED, error=SUPERSEDED, finished_at=now, sealed_environment=None):
            audit.record(
                "build.superseded",
                actor=actor,
                target=build,
                details={"app": deployment.app_name},
            )
            _remove_archive_after_commit(build.archive)


def _remove_archive_after_commit(name: str) -> None:
    # The name stays in the row until the workers' sweep has seen that the archive is gone.
    if name:
        transaction.on_commit(lambda: archive_storage.remove(name), robust=True)
