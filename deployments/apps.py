"""The deployments application."""

from django.apps import AppConfig


class DeploymentsConfig(AppConfig):
    """Registers the deployments application and its checks."""

    name = "deployments"

    def ready(self) -> None:
        """Connect the system checks."""
        from deployments import checks  # noqa: F401, PLC0415 - registering needs the app registry
