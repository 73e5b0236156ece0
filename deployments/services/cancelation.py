"""Canceling builds: those that wait are over at once, one that runs is asked to stop."""

import uuid
from datetime import datetime
from typing import Protocol

from django.db import transaction
from django.utils import timezone

from accounts import audit
from config.core.errors import Conflict
from deployments.models import Build
from deployments.models.deployments import Person
from deployments.services import stored_archives
from deployments.services.ownership import own_app

CANCELED = "This build was canceled."


class NothingToCancel(Conflict):
    """409: no build of the app waits or runs."""

    default = "There is nothing to cancel: no build of this app is waiting or running."


class AlreadyOver(Conflict):
    """409: the build has ended otherwise."""

    default = "This build is over already, so it can't be canceled."


class Owner(audit.Actor, Person, Protocol):
    """Somebody who has apps and does things: a User, or the Caller of an API request."""


def cancel(*, caller: Owner, app_name: str, now: datetime) -> None:
    """Cancel whatever of the caller's app waits or runs; fine when the latest build was canceled before.

    Raises NoSuchApp or NothingToCancel.
    """
    app = own_app(person=caller, app_name=app_name)
    unfinished = list(Build.objects.filter(deployment=app, finished_at=None).values_list("pk", flat=True))
    for build_id in unfinished:
        _cancel(build_id, actor=caller, now=now)
    if not unfinished:
        latest = Build.objects.filter(deployment=app).first()
        if latest is None or latest.state != Build.State.CANCELED:
            raise NothingToCancel


def cancel_build(build_id: uuid.UUID, actor: audit.Actor) -> bool:
    """Cancel one build; False when that was done before. Raises AlreadyOver when it has ended otherwise.

    Who may is for the caller to see to.
    """
    if _cancel(build_id, actor=actor, now=timezone.now()):
        return True
    build = Build.objects.get(pk=build_id)
    if build.is_over and build.state != Build.State.CANCELED:
        raise AlreadyOver
    return False


def _cancel(build_id: uuid.UUID, *, actor: audit.Actor, now: datetime) -> bool:
    """Whether this call changed anything. A build may be taken, or end, at any moment: only the updates decide."""
    with transaction.atomic():
        build = Build.objects.filter(pk=build_id)
        if build.filter(state=Build.State.QUEUED, finished_at=None).update(
            state=Build.State.CANCELED, error=CANCELED, finished_at=now, sealed_environment=None
        ):
            _record("build.canceled", build.select_related("deployment").get(), actor)
            return True
        # One that waited a line ago may have been taken since; a running one never waits again.
        if build.running().filter(cancel_requested_at=None).update(cancel_requested_at=now):
            _record("build.cancel_requested", build.select_related("deployment").get(), actor)
            return True
        return False


def _record(action: str, build: Build, actor: audit.Actor) -> None:
    audit.record(
        action,
        actor=actor,
        target=build,
        organization_id=build.organization_id,
        details={"app": build.deployment.app_name},
    )
    if build.is_over:
        # Its name stays in the row until the workers' sweep has seen that it is gone.
        transaction.on_commit(lambda: stored_archives.remove(build.archive), robust=True)
