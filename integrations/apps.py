"""The integrations application."""

from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    """Registers the integrations application, its checks, and its parts in what other apps' services do."""

    name = "integrations"

    def ready(self) -> None:
        """Connect the system checks, and the parts of others' services."""
        from integrations import checks  # noqa: F401, PLC0415 - registering needs the app registry
        from integrations.services import connect_links, explained, organization_contents  # noqa: F401, PLC0415 - the same
