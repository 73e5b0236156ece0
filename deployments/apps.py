"""The deployments application."""

from django.apps import AppConfig


class DeploymentsConfig(AppConfig):
    """Registers the deployments application, its checks, and its parts in what other apps' services do."""

    name = "deployments"

    def ready(self) -> None:
        """Connect the system checks, and the parts of others' services."""
        from deployments import checks  # noqa: F401, PLC0415 - registering needs the app registry
        from deployments.services import (  # noqa: PLC0415 - the same
            cancellation,  # noqa: F401
            explained,  # noqa: F401
            leavers,  # noqa: F401
            organization_contents,  # noqa: F401
            reconciliation,  # noqa: F401
        )
