"""Canceling builds: those that wait are over at once, one that is being built is asked to stop."""

import uuid
from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import User
from accounts.principals import Principal
from accounts.services.access_ended import Ended, Why, part
from core.errors import Conflict
from deployments.models import Build
from deployments.models.builds import LATEST_FIRST
from deployments.services import archive_storage
from deployments.services.access import own_app

CANCELED = "This build was canceled."


class NothingToCancel(Conflict):
    """409: no build of the app waits or runs."""

    default = "There is nothing to cancel: no build of this app is waiting or running."


class AlreadyOver(Conflict):
    """409: the build has ended otherwise."""

    default = "This build is over already, so it can't be canceled."


class AlreadyReleased(AlreadyOver):
    """409: Fly runs the build's image; only whether it answers is still to be seen."""

    default = "This version is released already, so it can't be canceled. Push again in a minute or two to replace it."


def can_be_canceled(build: Build) -> bool:
    """Whether canceling the build would still change anything."""
    return not build.is_over and build.state != Build.State.RELEASED and build.cancel_requested_at is None


def cancel(*, caller: User | Principal, app_name: str, now: datetime) -> None:
    """Cancel whatever of the caller's app waits or is being built; fine when the latest build was canceled before.

    Raises NoSuchApp, NothingToCancel, or AlreadyOver or AlreadyReleased when nothing else was left to cancel.
    """
    app = own_app(person=caller, app_name=app_name, action="deployments.cancel")
    unfinished = list(Build.objects.filter(deployment=app, finished_at=None).values_list("pk", flat=True))
    if unfinished:
        _cancel_all(unfinished, actor=caller, now=now)
        return
    latest = Build.objects.filter(deployment=app).order_by(*LATEST_FIRST).first()
    if latest is None or latest.state != Build.State.CANCELED:
        raise NothingToCancel


def cancel_build(build_id: uuid.UUID, actor: audit.Actor) -> bool:
    """Cancel one build; False when that was done before.

    Raises AlreadyOver when it has ended otherwise, AlreadyReleased when Fly runs its image. Who may is for the
    caller to see to.
    """
    return _cancel(build_id, actor=actor, now=timezone.now())


@part("builds under way")
def _cancel_pushed_by(ended: Ended) -> int:
    """Cancel what somebody who is shut out has pushed or deployed again; who only signs out may still deploy."""
    if ended.why == Why.SIGNED_OUT:
        return 0
    unfinished = Build.objects.filter(pushed_by=ended.user.pk, finished_at=None, cancel_requested_at=None)
    canceled, _ = _cancel_each(list(unfinished.values_list("pk", flat=True)), actor=ended.by, now=ended.now)
    return canceled


def _cancel_all(build_ids: Iterable[uuid.UUID], *, actor: audit.Actor, now: datetime) -> None:
    """Cancel those that can be. Raises the first one's refusal when there is none."""
    canceled, refusals = _cancel_each(build_ids, actor=actor, now=now)
    if not canceled:
        raise refusals[0]


def _cancel_each(
    build_ids: Iterable[uuid.UUID], *, actor: audit.Actor | None, now: datetime
) -> tuple[int, list[AlreadyOver]]:
    """How many could be canceled, and the refusals of the others."""
    refusals, canceled = [], 0
    for build_id in build_ids:
        try:
            _cancel(build_id, actor=actor, now=now)
            canceled += 1
        except AlreadyOver as refusal:
            refusals.append(refusal)
    return canceled, refusals


def _cancel(build_id: uuid.UUID, *, actor: audit.Actor | None, now: datetime) -> bool:
    """Whether this call changed anything. A build may be taken, or end, at any moment: only the updates decide.

    Raises AlreadyReleased or AlreadyOver.
    """
    with transaction.atomic():
        build = Build.objects.filter(pk=build_id, finished_at=None)
        if build.filter(state=Build.State.QUEUED).update(
            state=Build.State.CANCELED, error=CANCELED, finished_at=now, sealed_environment=None
        ):
            _record("build.canceled", build_id, actor)
            return True
        # One that waited a line ago may have been taken since; a running one never waits again.
        if build.filter(state=Build.State.BUILDING, cancel_requested_at=None).update(cancel_requested_at=now):
            _record("build.cancel_requested", build_id, actor)
            return True
    _require_canceled(build_id)
    return False


def _require_canceled(build_id: uuid.UUID) -> None:
    """Return when the build was canceled, or asked to stop, before. Raises AlreadyReleased or AlreadyOver."""
    build = Build.objects.filter(pk=build_id).first()
    if build is None:
        raise AlreadyOver
    if build.state == Build.State.RELEASED and not build.is_over:
        raise AlreadyReleased
    if build.is_over and build.state != Build.State.CANCELED:
        raise AlreadyOver


def _record(action: str, build_id: uuid.UUID, actor: audit.Actor | None) -> None:
    build = Build.objects.select_related("deployment").get(pk=build_id)
    audit.record(
        action,
        actor=actor,
        target=build,
        details={"app": build.deployment.app_name},
    )
    if build.is_over:
        # Its name stays in the row until the workers' sweep has seen that it is gone.
        transaction.on_commit(lambda: archive_storage.remove(build.archive), robust=True)
