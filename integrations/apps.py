"""The integrations application."""

from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    """Registers the integrations application, its checks, and its parts in what other apps' services do."""

    name = "integrations"

    def ready(self) -> None:
        """Connect the system checks, and the parts of others' services."""
        from integrations import checks  # noqa: F401, PLC0415 - registering needs the app registry
        from integrations.services import (  # noqa: PLC0415 - the same
            connect_links,  # noqa: F401
            explained,  # noqa: F401
            leavers,  # noqa: F401
            organization_contents,  # noqa: F401
        )
