"""The integrations application."""

from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    """Registers the integrations application and its checks."""

    name = "integrations"

    def ready(self) -> None:
        """Connect the system checks."""
        from integrations import checks  # noqa: F401, PLC0415 - registering needs the app registry
