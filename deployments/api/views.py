"""The deployments API: all but receiving an archive, which has a module of its own."""

import uuid
from collections.abc import Mapping

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from accounts.current_user import caller_of
from core.api import Endpoint, json_body, query, required, success
from core.errors import Malformed
from core.needs import Needs
from core.openapi import documented
from core.schemas import validated
from deployments.api import schemas
from deployments.models import Build
from deployments.services import app_logs, builds, cancellation, preparation, status
from fly.names import labeled

_TAG = "deployments"
_APP_NAME = OpenApiParameter("appName", str, required=True, description="One of the caller's apps.")
# More than any log has, and what PostgreSQL still takes for a number.
_LONGEST_OFFSET = 9


class PrepareView(Endpoint):
    """POST /api/deploy/prepare."""

    required_action = "deployments.create"

    needs = {"POST": Needs("deployments:write")}

    @documented(
        summary="Prepare an app",
        data=schemas.Prepared,
        tag=_TAG,
        request=schemas.App,
        errors=[409, 502, 504],
    )
    def post(self, request: Request) -> HttpResponse:
        """Make the app at Fly, unless it is there already, and tell its address."""
        asked = validated(schemas.App, json_body(request))
        app = preparation.prepare(caller=caller_of(request), app_name=asked.app_name, now=timezone.now())
        return success(schemas.Prepared(appUrl=app.url))


class StatusView(Endpoint):
    """GET /api/deploy/status."""

    required_action = "deployments.view"

    needs = {"GET": Needs("deployments:read")}

    @documented(summary="Tell the status of an app", data=schemas.AppStatus, tag=_TAG, parameters=[_APP_NAME])
    def get(self, request: Request) -> HttpResponse:
        """Tell how the caller's app is; one that isn't there, or isn't the caller's, is `not_found`."""
        found = status.status_of(caller=caller_of(request), app_name=_app_name(query(request)), now=timezone.now())
        answer = schemas.AppStatus(status=found.status, url=found.url, commit=found.commit)
        if found.message:
            answer["message"] = found.message
        if found.error:
            # Existing tools put a full stop of their own behind what they take for one sentence.
            answer["error"] = found.error if ". " in found.error else found.error.removesuffix(".")
        return success(answer)


class LogsView(Endpoint):
    """GET /api/deploy/logs."""

    required_action = "deployments.read-logs"

    needs = {"GET": Needs("deployments:read")}

    @documented(
        summary="Read the logs of an app",
        data=schemas.Logs,
        tag=_TAG,
        parameters=[
            _APP_NAME,
            OpenApiParameter("offset", int, description="How many characters of the build's log to leave out."),
        ],
        errors=[404],
    )
    def get(self, request: Request) -> HttpResponse:
        """Give the end of the latest build's log, or what follows `offset`, and the latest lines of what runs."""
        asked = query(request)
        found = app_logs.logs_of(caller=caller_of(request), app_name=_app_name(asked), offset=_offset(asked))
        return success(
            schemas.Logs(
                buildLog=found.build,
                serviceLogs=found.service,
                buildId=str(found.build_id) if found.build_id else None,
                nextOffset=found.next_offset,
                logLength=found.length,
            )
        )


class CancelView(Endpoint):
    """POST /api/deploy/cancel."""

    required_action = "deployments.cancel"

    needs = {"POST": Needs("deployments:write")}

    @documented(
        summary="Cancel a build",
        data=schemas.Canceled,
        tag=_TAG,
        request=schemas.App,
        errors=[404, 409],
    )
    def post(self, request: Request) -> HttpResponse:
        """Cancel the build of the caller's app that waits or runs."""
        asked = validated(schemas.App, json_body(request))
        cancellation.cancel(caller=caller_of(request), app_name=asked.app_name, now=timezone.now())
        return success(schemas.Canceled(status="canceled"))


class BuildsView(Endpoint):
    """GET /api/deploy/builds."""

    required_action = "deployments.view"

    needs = {"GET": Needs("deployments:read")}

    @documented(
        summary="List builds",
        data=list[schemas.Build],
        tag=_TAG,
        parameters=[
            _APP_NAME,
            OpenApiParameter("before", str, description="A build's id: answers those that are older."),
        ],
        errors=[404],
    )
    def get(self, request: Request) -> HttpResponse:
        """Tell the builds of the caller's app, newest first, 50 at a time."""
        asked = query(request)
        listed = builds.list_builds(caller=caller_of(request), app_name=_app_name(asked), before=_before(asked))
        return success([_build(build) for build in listed])


def _build(build: Build) -> schemas.Build:
    return {
        "id": str(build.pk),
        "status": build.state,
        "commit": build.commit or None,
        "startedAt": build.started_at,
        "finishedAt": build.finished_at,
        "error": build.error or None,
    }


def _app_name(parameters: Mapping[str, str]) -> str:
    """What the query calls the app. Raises Malformed for what none can be called."""
    return labeled(required(parameters, "appName"))


def _offset(parameters: Mapping[str, str]) -> int | None:
    """The query's offset, if it has one. Raises Malformed for what is no number of characters."""
    if "offset" not in parameters:
        return None
    value = parameters["offset"]
    if not (value.isascii() and value.isdecimal() and len(value) <= _LONGEST_OFFSET):
        raise Malformed("offset: A whole number of characters is required.")
    return int(value)


def _before(parameters: Mapping[str, str]) -> uuid.UUID | None:
    """The query's build, if it has one. Raises Malformed for what is no id."""
    if "before" not in parameters:
        return None
    try:
        return uuid.UUID(parameters["before"])
    except ValueError as error:
        raise Malformed("before: This is not a build's id.") from error
