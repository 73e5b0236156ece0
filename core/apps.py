"""The core application: it has no tables, only checks."""

from django.apps import AppConfig
from django.conf import settings
from django.core.cache import close_caches
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, reset_queries


class CoreConfig(AppConfig):
    """Registers the core's system checks."""

    name = "core"
    label = "core"

    def ready(self) -> None:
        """Connect the system checks, and look after kept connections once a request, not twice."""
        from core import checks  # noqa: F401, PLC0415 - registering needs the app registry

        # The same receiver runs when a request is finished, and connections have no age limit here.
        request_started.disconnect(close_old_connections)
        if not settings.DEBUG:
            request_started.disconnect(reset_queries)
        # Neither of the cache backends that the settings can name has anything to close.
        request_finished.disconnect(close_caches)
