"""The accounts application."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Registers the accounts application and its checks."""

    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect the system checks."""
        from accounts import checks  # noqa: F401, PLC0415 - registering needs the app registry
