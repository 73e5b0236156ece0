"""The integrations application."""

from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    """Registers the integrations application."""

    name = "integrations"
