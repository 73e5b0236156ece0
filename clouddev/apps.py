"""The clouddev application: machines that people develop on."""

from django.apps import AppConfig


class CloudDevConfig(AppConfig):
    """Registers the clouddev application and its checks."""

    name = "clouddev"
    verbose_name = "Cloud dev"

    def ready(self) -> None:
        """Connect the system checks."""
        from clouddev import checks  # noqa: F401, PLC0415 - registering needs the app registry
