"""POST /api/deploy/push."""

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from accounts.current_user import caller_of
from core.api import Endpoint, success
from core.needs import Needs
from core.openapi import documented
from deployments.api import schemas
from deployments.api.upload import received
from deployments.services import pushes


class PushView(Endpoint):
    """POST /api/deploy/push: the archive as base64 in JSON, or bare."""

    required_action = "deployments.push"

    needs = {"POST": Needs("deployments:write")}

    @documented(
        summary="Push an app",
        data=schemas.Pushed,
        tag="deployments",
        request={"application/json": schemas.Push, "application/gzip": OpenApiTypes.BINARY},
        parameters=[
            OpenApiParameter(
                "appName",
                str,
                description="With `application/gzip`: one of the caller's apps. With JSON it may be left out; one that "
                "is given is looked at before the body is read, and has to be the body's.",
            ),
            OpenApiParameter("commitHash", str, description="With `application/gzip`: the commit that is pushed."),
        ],
        errors=[404, 409, 502, 504],
    )
    def post(self, request: Request) -> HttpResponse:
        """Take in an archive with a Dockerfile at its top, and have it built.

        Environment variables can come with JSON only: addresses end up in logs, and secrets must not. A bare archive
        is therefore built without those that a build needs, such as `VITE_…`; the app's secrets stay as they are.
        """
        caller = caller_of(request)
        with received(request._request, caller) as sent:  # noqa: SLF001 - DRF offers no other way past its parsers
            build = pushes.receive(caller=caller, app_name=sent.app_name, push=sent.push, now=timezone.now())
            warning = sent.push.warning
        answer = schemas.Pushed(status="deploying", buildId=str(build.pk))
        if warning:
            answer["message"] = warning
        return success(answer)
