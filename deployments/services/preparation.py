"""Giving a person's app its place at Fly.

The deployment and the app to be made are recorded in one transaction; then Fly is asked. What a crash or a
cut connection leaves behind is finished by the next call, by the push, by the build, or by the reconciler.
"""

import time
import uuid
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Coalesce

from accounts.audit import record
from accounts.bearer import Suspended
from accounts.models import User
from accounts.principals import Principal
from core.errors import Conflict
from core.rate_limits import RateLimit
from deployments.models import Deployment
from deployments.services.access import NoSuchApp
from fly.clients.machines_api import Fly, UnknownApp
from fly.models import called
from fly.names import labeled
from fly.services import fly_apps

State = Deployment.State
PREPARATIONS = RateLimit("app-preparations", "60/minute")
_MOST_NAMES = 3
# How long one call waits for another that is making the same app.
_PATIENCE_SECONDS, _PAUSE_SECONDS = 5.0, 0.2


class QuotaReached(Conflict):
    """409: the person has as many apps as they may."""


class OfSuspendedOrganization(Suspended):
    """403: the person's app of this name belongs to another organization of theirs, which is suspended."""

    default = (
        "Your app of this name belongs to an organization that is suspended. "
        "Ask an operator of this server to restore it, or choose another name."
    )


class BeingRemoved(Conflict):
    """409: the app of this name is being deleted."""

    default = "This app is being removed. Please try again in a minute."


def prepare(*, caller: Principal, app_name: str, now: datetime) -> Deployment:
    """The caller's app of this name, made when there is none; its address is known at once.

    Once Fly has it, it is answered, be its addresses still missing: the push sees to those. Raises StillChanging,
    NotAnAppName, QuotaReached, OfSuspendedOrganization, BeingRemoved, TooManyRequests and the Fly client's errors;
    calling again settles those that aren't permanent.
    """
    app_name = labeled(app_name)
    Fly.from_settings()
    deployment = _found(caller, app_name)
    if deployment is None or deployment.state == State.PREPARING:
        PREPARATIONS.spend(str(caller.id))
        deployment = deployment or _intended(caller, app_name, now=now)
    if deployment.organization.suspended_at:
        raise OfSuspendedOrganization
    if deployment.state == State.DESTROYING:
        raise BeingRemoved
    if deployment.state == State.READY and not _is_lost(deployment, now=now):
        return deployment
    try:
        return finish(deployment_id=deployment.pk, now=now)
    except fly_apps.StillChanging:
        made = _made_by_now(deployment.pk)
        if made is None:
            raise
        return made


def _is_lost(deployment: Deployment, *, now: datetime) -> bool:
    """Whether Fly no longer has an app that was ready: it is to be made anew then, under its old address.

    One that became ready a moment ago isn't asked for: Fly may not see it everywhere yet.
    """
    fly_app = deployment.fly_app
    if fly_app.ready_at is None or fly_app.ready_at > now - fly_apps.SETTLES_AFTER:
        return False
    try:
        Fly.from_settings().get_app(fly_app.pk)
    except UnknownApp:
        return _begun_anew(deployment, now=now)
    return False


@transaction.atomic
def _begun_anew(deployment: Deployment, *, now: datetime) -> bool:
    """Mark the app as one to be made, unless another call just did."""
    ready = Deployment.objects.filter(pk=deployment.pk, fly_app_id=deployment.fly_app_id, state=State.READY)
    if not ready.update(state=State.PREPARING):
        return True
    fly_apps.intend_again(fly_app_id=deployment.fly_app_id, now=now)
    record(
        "deployment.lost",
        actor=None,
        target=deployment,
        details={"app": deployment.app_name, "fly_app": deployment.fly_app_id},
    )
    return True


def _made_by_now(deployment_id: uuid.UUID) -> Deployment | None:
    """The app, as soon as Fly has it; None when whoever is at it takes long."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        found = Deployment.objects.select_related("fly_app").get(pk=deployment_id)
        if found.state == State.READY or found.fly_app.made_at:
            return found
        if time.monotonic() > until:
            return None
        time.sleep(_PAUSE_SECONDS)


def finish(*, deployment_id: uuid.UUID, now: datetime) -> Deployment:
    """Do what is left of preparing an app; one that is ready is answered as it is. Can be repeated.

    Raises StillChanging, BeingRemoved, NoSuchApp and the Fly client's errors.
    """
    until = time.monotonic() + fly_apps.BEGINS_NO_CALL_AFTER_SECONDS
    for _ in range(_MOST_NAMES):
        deployment = Deployment.objects.filter(pk=deployment_id).first()
        if deployment is None:
            raise NoSuchApp
        if deployment.state == State.DESTROYING:
            raise BeingRemoved
        if deployment.state == State.READY:
            return deployment
        try:
            fly_apps.ensure(fly_app_id=deployment.fly_app_id, now=now)
        except fly_apps.NoLongerOurs:
            _rename(deployment, now=now)
            if time.monotonic() > until:
                break
            continue
        Deployment.objects.filter(pk=deployment_id, fly_app_id=deployment.fly_app_id, state=State.PREPARING).update(
            state=State.READY
        )
    raise fly_apps.StillChanging


def _found(caller: Principal, app_name: str) -> Deployment | None:
    return Deployment.objects.of(caller).filter(called(app_name)).select_related("organization", "fly_app").first()


@transaction.atomic
def _intended(caller: Principal, app_name: str, *, now: datetime) -> Deployment:
    """The new deployment, or the one that another call has recorded just now."""
    # All of a person's apps are counted and made behind this lock, so that calls at once can't pass the quota.
    User.objects.select_for_update(no_key=True).get(pk=caller.id)
    found = _found(caller, app_name)
    if found:
        return found
    _require_room(caller)
    deployment = Deployment.objects.create(
        owner_id=caller.id,
        organization_id=caller.organization_id,
        app_name=app_name,
        fly_app=fly_apps.intend(now=now),
        created_at=now,
    )
    record(
        "deployment.prepared",
        actor=caller,
        target=deployment,
        details={"app": app_name, "fly_app": deployment.fly_app_id},
    )
    return deployment


def _require_room(caller: Principal) -> None:
    """Raise QuotaReached, naming the app whose last push is longest ago."""
    own = Deployment.objects.of(caller)
    if own.count() < settings.DEPLOYMENTS_PER_PERSON:
        return
    kept = own.exclude(state=State.DESTROYING)
    idle = kept.annotate(used_at=Coalesce(Max("builds__created_at"), "created_at")).order_by("used_at", "pk").first()
    most = settings.DEPLOYMENTS_PER_PERSON
    if idle is None:
        raise QuotaReached(f"You may have {most} apps, and yours are still being removed. Try again in a minute.")
    raise QuotaReached(
        f"You have {most} apps, which is the most you may have. Remove one that you no longer need at "
        f"{settings.PUBLIC_URL}/deployments/ and try again; “{idle.app_name}” has been idle the longest."
    )


@transaction.atomic
def _rename(deployment: Deployment, *, now: datetime) -> None:
    """Intend an app of another name in place of one that can't be made, unless somebody else just did."""
    replaced = Deployment.objects.filter(pk=deployment.pk, fly_app_id=deployment.fly_app_id, state=State.PREPARING)
    fly_app = fly_apps.intend(now=now)
    if not replaced.update(fly_app=fly_app):
        fly_app.delete()
