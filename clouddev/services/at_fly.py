"""What Fly says of all machines at once: one question for the whole organization, kept for a few seconds."""

import logging

from django.conf import settings
from django.core.cache import cache

from config.core.errors import ApplicationError
from deployments.clients.fly import Fly

logger = logging.getLogger(__name__)

_KEPT_SECONDS = 4
# After a failure, so that a Fly that is down is not asked by every caller.
_FAILURE_KEPT_SECONDS = 2
_KEY = "clouddev:states"
UNKNOWN = "unknown"
_GONE = frozenset({"destroyed", "destroying", "replaced", "migrated"})


def states() -> dict[str, str]:
    """Fly's own word for the state of each app's machine, by the app's name; {} when Fly can't be asked.

    An app's name is as good as unknown to whoever may not see the machine, so callers look up by rows of their own.
    """
    key = f"{_KEY}:{settings.FLY_ORG}"
    found: dict[str, str] | None = cache.get(key)
    if found is not None:
        return found
    try:
        found = {
            machine.app_name: machine.state
            for page in Fly.from_settings().pages_of_machines()
            for machine in page.machines
            if machine.state not in _GONE
        }
        cache.set(key, found, _KEPT_SECONDS)
    except ApplicationError as error:
        logger.warning("Fly can't be asked for the states of machines: %s", type(error).__name__)
        found = {}
        cache.set(key, found, _FAILURE_KEPT_SECONDS)
    return found


def forget_states() -> None:
    """Ask anew next time: something was started or stopped."""
    cache.delete(f"{_KEY}:{settings.FLY_ORG}")
