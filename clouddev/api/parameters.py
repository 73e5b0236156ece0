"""What the endpoints about machines read from a request."""

from collections.abc import Mapping
from typing import cast

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from accounts.bearer import Caller
from core.api import required
from fly.names import labeled

TAG = "cloud dev machines"
APP_NAME = OpenApiParameter("appName", str, required=True, description="A machine that the caller may use.")


def caller_of(request: Request) -> Caller:
    """Who asks."""
    return cast("Caller", request.user)


def app_name_of(parameters: Mapping[str, str]) -> str:
    """What the query calls the machine. Raises Malformed for what none can be called."""
    return labeled(required(parameters, "appName"))
