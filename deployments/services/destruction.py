"""Removing an app: the intent first, then all it has at Fly, then its row.

The row goes last, so that nothing of it is left running at Fly without anybody knowing.
"""

import logging
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from django.db import transaction

from accounts.audit import Actor, record
from core.leases import expired
from deployments.models import Deployment
from deployments.models.deployments import DeploymentQuerySet
from deployments.services import archive_storage, cancellation
from deployments.services.access import NoSuchApp
from fly.models import called
from fly.services import fly_apps

logger = logging.getLogger(__name__)

State = Deployment.State


def destroy(*, owner: Actor, app_name: str, now: datetime) -> bool:
    """Remove the person's own app of this name; says whether it is gone already.

    What can't be done now is done by the reconciler. Raises NoSuchApp.
    """
    return _destroy(Deployment.objects.of(owner).filter(called(app_name)), actor=owner, now=now)


def destroy_any(
    *, operator: Actor, deployment_id: uuid.UUID, now: datetime, claim: Callable[[], None] | None = None
) -> bool:
    """Remove anybody's app, for an operator; `claim` raises unless they may, as of then. The same otherwise."""
    return _destroy(Deployment.objects.filter(pk=deployment_id), actor=operator, now=now, claim=claim)


def finish(*, deployment_id: uuid.UUID, now: datetime) -> bool:
    """Do what is left of removing an app; False while one of its builds is still being stopped. Can be repeated.

    Raises StillChanging, the Fly client's errors, and what the archives' storage raises.
    """
    deployment = Deployment.objects.filter(pk=deployment_id, state=State.DESTROYING).first()
    if deployment is None:
        return not Deployment.objects.filter(pk=deployment_id).exists()
    # A build whose worker still lives ends within seconds; one that died is not waited for.
    if deployment.builds.running().exclude(expired()).exists():
        return False
    fly_apps.remove(fly_app_id=deployment.fly_app_id, now=now)
    for archive in deployment.builds.exclude(archive="").values_list("archive", flat=True):
        archive_storage.remove(archive)
    # With its builds and their logs.
    Deployment.objects.filter(pk=deployment.pk, state=State.DESTROYING).delete()
    return True


def _destroy(
    wanted: DeploymentQuerySet, *, actor: Actor, now: datetime, claim: Callable[[], None] | None = None
) -> bool:
    deployment = _recorded(wanted, actor=actor, claim=claim)
    try:
        return finish(deployment_id=deployment.pk, now=now)
    except Exception as error:  # noqa: BLE001 - a storage raises what it likes, and nothing is lost
        logger.warning("deployment %s is not removed yet: %s", deployment.pk, type(error).__name__)
        return False


@transaction.atomic
def _recorded(wanted: DeploymentQuerySet, *, actor: Actor, claim: Callable[[], None] | None) -> Deployment:
    """The deployment, marked as to be destroyed, and its builds as to be stopped."""
    if claim is not None:
        claim()
    deployment = wanted.select_for_update().first()
    if deployment is None:
        raise NoSuchApp
    if deployment.state != State.DESTROYING:
        Deployment.objects.filter(pk=deployment.pk).update(state=State.DESTROYING)
        record(
            "deployment.destroyed",
            actor=actor,
            target=deployment,
            details={"app": deployment.app_name, "fly_app": deployment.fly_app_id},
        )
    for build_id in deployment.builds.filter(finished_at=None).values_list("pk", flat=True):
        with suppress(cancellation.AlreadyOver):
            cancellation.cancel_build(build_id, actor)
    return deployment
