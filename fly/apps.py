"""The fly application."""

from django.apps import AppConfig


class FlyConfig(AppConfig):
    """Registers the fly application and its checks."""

    name = "fly"
    verbose_name = "Fly"

    def ready(self) -> None:
        """Connect the system checks."""
        from fly import checks  # noqa: F401, PLC0415 - registering needs the app registry
