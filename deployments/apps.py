"""The deployments application."""

from django.apps import AppConfig


class DeploymentsConfig(AppConfig):
    """Registers the deployments application, its checks and what ends with somebody's access."""

    name = "deployments"

    def ready(self) -> None:
        """Connect the system checks, and what ends with somebody's access."""
        from deployments import checks  # noqa: F401, PLC0415 - registering needs the app registry
        from deployments.services import ending  # noqa: F401, PLC0415 - the same
