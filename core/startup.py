"""What must hold before a web process serves its first request: it doesn't start otherwise.

Django's system checks are for those who run `manage.py`; a web process runs none. What would let the wrong people in is
therefore registered here as well, and what needs the database for its answer here alone.
"""

from collections.abc import Callable

from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured

Check = Callable[[], list[CheckMessage]]
_checks: list[Check] = []


def at_start(check: Check) -> Check:
    """Register a check; an error that it gives keeps a web process from starting."""
    _checks.append(check)
    return check


def require() -> None:
    """Raise ImproperlyConfigured, with every error's sentence, unless all checks pass."""
    found = [message for check in _checks for message in check() if message.is_serious()]
    if found:
        raise ImproperlyConfigured("\n".join(map(str, found)))
