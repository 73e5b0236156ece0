"""The integrations application."""

from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    """Registers the integrations application, its checks and what ends with somebody's access."""

    name = "integrations"

    def ready(self) -> None:
        """Connect the system checks, and what ends with somebody's access."""
        from integrations import checks  # noqa: F401, PLC0415 - registering needs the app registry
        from integrations.services import connect_links  # noqa: F401, PLC0415 - the same
