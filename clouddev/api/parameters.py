"""What the endpoints about workspaces read from a request."""

from collections.abc import Mapping

from drf_spectacular.utils import OpenApiParameter

from core.api import required
from fly.names import labeled

TAG = "workspaces"
APP_NAME = OpenApiParameter("appName", str, required=True, description="A workspace that the caller may use.")


def app_name_of(parameters: Mapping[str, str]) -> str:
    """What the query calls the workspace. Raises Malformed for what none can be called."""
    return labeled(required(parameters, "appName"))
