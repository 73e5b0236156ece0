"""The clouddev application: machines that people develop on."""

from django.apps import AppConfig


class CloudDevConfig(AppConfig):
    """Registers the clouddev application, its checks, and its parts in what other apps' services do."""

    name = "clouddev"
    verbose_name = "Workspaces"

    def ready(self) -> None:
        """Connect the system checks, and the parts of others' services."""
        from clouddev import checks  # noqa: F401, PLC0415 - registering needs the app registry
        from clouddev.services import (  # noqa: PLC0415 - the same
            access_ended,  # noqa: F401
            explained,  # noqa: F401
            leavers,  # noqa: F401
            organization_contents,  # noqa: F401
        )
