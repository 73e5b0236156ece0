"""The core application: it has no tables, only checks."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    """Registers the core's system checks."""

    name = "config.core"
    label = "core"

    def ready(self) -> None:
        """Connect the system checks."""
        from config.core import checks  # noqa: F401, PLC0415 - registering needs the app registry
