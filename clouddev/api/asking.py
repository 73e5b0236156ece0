"""What the endpoints about machines read from a request."""

from collections.abc import Mapping
from typing import cast

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from accounts.callers import Caller
from config.core.api import required
from config.core.errors import Malformed
from deployments.api.serializers import NAME_RULE
from deployments.names import LONGEST_APP_NAME, is_app_name

TAG = "cloud dev machines"
APP_NAME = OpenApiParameter("appName", str, required=True, description="A machine that the caller may use.")


def caller_of(request: Request) -> Caller:
    """Who asks."""
    return cast("Caller", request.user)


def app_name_of(parameters: Mapping[str, str]) -> str:
    """The query's machine. Raises Malformed for what can't be one's name."""
    name = required(parameters, "appName", at_most=LONGEST_APP_NAME)
    if not is_app_name(name):
        raise Malformed(f"appName: {NAME_RULE}")
    return name
