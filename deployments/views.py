"""The pages of deployed apps. They work without JavaScript; with it a build's page follows its log."""

import uuid
from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateformat import format as date_format
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.current_user import person_of
from core.actions import requires
from core.errors import Conflict, Malformed
from core.next_url import posted_from
from deployments.models import Build, Deployment
from deployments.services import app_logs, builds, cancellation, destruction, display
from deployments.services.access import own_app_by_id, own_build
from deployments.services.queue import end_if_stalled
from deployments.services.status import message_of
from fly.names import is_same_label

_LONGEST_OFFSET = 9
# As the page's template writes it.
_MOMENT = "j M Y, H:i:s"


@requires("deployments.view")
@never_cache
@require_safe
def deployments(request: HttpRequest) -> HttpResponse:
    """The person's apps."""
    apps = list(Deployment.objects.usable_by(person_of(request)))
    latest = builds.latest_builds(apps)
    running = display.running(apps)
    badges = {app.pk: display.badge_of_app(app, latest.get(app.pk)) for app in apps}
    rows = [
        {"app": app, "latest": latest.get(app.pk), "badge": badges[app.pk], "is_running": app.pk in running}
        for app in apps
    ]
    context = {"rows": rows, "is_going": display.is_going(badges.values())}
    return render(request, "deployments/list.html", context)


@requires("deployments.view")
@never_cache
@require_safe
def deployment(request: HttpRequest, deployment_id: uuid.UUID) -> HttpResponse:
    """One of the person's apps with its builds; `before` is the last build of the page before."""
    app = own_app_by_id(person=person_of(request), deployment_id=deployment_id, action="deployments.view")
    return _app_page(request, app)


@requires("deployments.read-logs")
@never_cache
@require_safe
def logs(request: HttpRequest, deployment_id: uuid.UUID) -> HttpResponse:
    """What one of the person's apps says at Fly, as of now."""
    app = own_app_by_id(person=person_of(request), deployment_id=deployment_id, action="deployments.read-logs")
    is_released = display.current_release(app) is not None
    said = app_logs.service_logs(fly_name=app.fly_app_id) if is_released else None
    return render(request, "deployments/logs.html", {"app": app, "is_released": is_released, "said": said})


def _app_page(request: HttpRequest, app: Deployment, *, complaint: str = "") -> HttpResponse:
    before = _id_or_none(request.GET.get("before", ""))
    # One more than is shown tells whether there is another page.
    listed = builds.builds_of(app, before=before, limit=builds.PAGE + 1)
    current = display.current_release(app)
    latest = builds.latest_builds([app]).get(app.pk)
    badge = display.badge_of_app(app, latest)
    context = {
        "app": app,
        "latest": latest,
        "badge": badge,
        "is_going": display.is_going([badge]),
        "current": current,
        "rows": [_row(build, current) for build in listed[: builds.PAGE]],
        "older": listed[builds.PAGE - 1].pk if len(listed) > builds.PAGE else None,
        "is_first_page": before is None,
        "is_there": app.state != Deployment.State.DESTROYING,
        "complaint": complaint,
    }
    return render(request, "deployments/app.html", context, status=Malformed.status if complaint else 200)


def _row(build: Build, current: Build | None) -> dict[str, Any]:
    is_current = current is not None and current.pk == build.pk
    return {
        "build": build,
        "badge": display.badge_of(build, is_replaced=not is_current),
        "took": display.time_taken(build),
        "can_be_redeployed": bool(build.image) and build.is_over and not is_current,
    }


@requires("deployments.view")
@never_cache
@require_safe
def build(request: HttpRequest, deployment_id: uuid.UUID, build_id: uuid.UUID) -> HttpResponse:
    """A build with the end of its log, or with `from` another part of it."""
    found = _build(request, deployment_id, build_id, "deployments.view")
    offset = _offset(request.GET, "from")
    if offset is None:
        part = app_logs.read_tail(build_id=found.pk, length=found.log_length)
    else:
        part = app_logs.read_from(build_id=found.pk, length=found.log_length, offset=offset)
    app = found.deployment
    current = display.current_release(app)
    is_there = app.state != Deployment.State.DESTROYING
    row = _row(found, current)
    context = {
        **row,
        "app": app,
        "message": message_of(found, now=timezone.now()),
        "milestones": display.milestones_of(found),
        "part": part,
        "earlier": max(0, part.start - app_logs.MOST_CHARACTERS) if part.start else None,
        "later": part.end if offset is not None and part.end < part.length else None,
        "at_end": offset is None and bool(part.text or not found.is_over),
        "follows": offset is None and not found.is_over,
        "is_current": current is not None and current.pk == found.pk,
        "is_there": is_there,
        "can_be_canceled": is_there and cancellation.can_be_canceled(found),
        "can_be_redeployed": row["can_be_redeployed"] and is_there,
        "push_again": found.state in display.TO_PUSH_AGAIN,
    }
    return render(request, "deployments/build.html", context)


@requires("deployments.read-logs")
@never_cache
@require_safe
def news(request: HttpRequest, deployment_id: uuid.UUID, build_id: uuid.UUID) -> HttpResponse:
    """What the build's page asks for while it is open: how the build is, and the log after `offset`."""
    found = _build(request, deployment_id, build_id, "deployments.read-logs")
    offset = _offset(request.GET, "offset") or 0
    part = app_logs.read_from(build_id=found.pk, length=found.log_length, offset=offset)
    now = display.badge_of(found)
    return JsonResponse(
        {
            "word": now.word,
            "tone": now.tone,
            "message": message_of(found, now=timezone.now()),
            "milestones": [
                {"title": each.title, "note": each.note, "at": each.at, "shown": date_format(each.at, _MOMENT)}
                for each in display.milestones_of(found)
            ],
            "log": part.text,
            "offset": part.end,
            # Over once the reader has all of it, too.
            "over": found.is_over and part.end >= part.length,
        }
    )


@requires("deployments.cancel")
@posted_from("build", "deployment_id", "build_id")
def cancel(request: HttpRequest, deployment_id: uuid.UUID, build_id: uuid.UUID) -> HttpResponse:
    """Cancel one of the person's builds."""
    person = person_of(request)
    found = own_build(
        person=person,
        deployment_id=deployment_id,
        build_id=build_id,
        action="deployments.cancel",
    )
    try:
        cancellation.cancel_build(found.pk, person)
    except Conflict as error:
        messages.warning(request, error.sentence)
    else:
        messages.success(request, "The build is canceled; one that runs takes a moment to stop.")
    return redirect("build", deployment_id, build_id)


@requires("deployments.redeploy")
@posted_from("build", "deployment_id", "build_id")
def redeploy(request: HttpRequest, deployment_id: uuid.UUID, build_id: uuid.UUID) -> HttpResponse:
    """Deploy the image of one of the person's builds again."""
    person = person_of(request)
    found = own_build(person=person, deployment_id=deployment_id, build_id=build_id, action="deployments.redeploy")
    try:
        again = builds.redeploy(build=found, actor=person, now=timezone.now())
    except Conflict as error:
        messages.warning(request, error.sentence)
        return redirect("build", deployment_id, build_id)
    messages.success(request, f"The image of build {found.short_id} is being deployed again.")
    return redirect("build", deployment_id, again.pk)


@requires("deployments.destroy")
@posted_from("deployment", "deployment_id")
def destroy(request: HttpRequest, deployment_id: uuid.UUID) -> HttpResponse:
    """Destroy one of the person's apps, whose name they have typed."""
    person = person_of(request)
    app = own_app_by_id(person=person, deployment_id=deployment_id, action="deployments.destroy")
    if not is_same_label(request.POST.get("name", ""), app.app_name):
        return _app_page(request, app, complaint="That is not the name of this app. Nothing was destroyed.")
    destruction.destroy(owner=person, app_name=app.app_name, now=timezone.now())
    messages.success(request, f"{app.app_name} is being destroyed.")
    return redirect("deployments")


def _build(request: HttpRequest, deployment_id: uuid.UUID, build_id: uuid.UUID, action: str) -> Build:
    """A build of an app that they may do this to; ended where it waited for a worker that isn't there."""
    found = own_build(person=person_of(request), deployment_id=deployment_id, build_id=build_id, action=action)
    if end_if_stalled(build_id=found.pk, state=found.state, accepted_at=found.accepted_at, now=timezone.now()):
        found.refresh_from_db(fields=["state", "error", "finished_at"])
    return found


def _offset(parameters: Mapping[str, str], name: str) -> int | None:
    value = parameters.get(name, "")
    if not value:
        return None
    if not (value.isascii() and value.isdecimal() and len(value) <= _LONGEST_OFFSET):
        raise Malformed("There is no such place in the log.")
    return int(value)


def _id_or_none(value: str) -> uuid.UUID | None:
    if not value:
        return None
    try:
        return uuid.UUID(value)
    except ValueError as error:
        raise Malformed("This app has no such build.") from error
