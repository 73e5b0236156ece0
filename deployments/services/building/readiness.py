"""Whether a released app answers at its public address."""

import time
from collections.abc import Callable

from core.http_client import Service, ServiceFailed, ServiceTimeout

_PAUSES = (1.0, 1.0, 2.0, 4.0, 8.0)
_PATIENCE_SECONDS = 90.0
_SERVER_ERROR = 500


def answers(url: str) -> bool:
    """Ask once, at the address that is ours by its pattern; redirects lead where the app wants and aren't followed.

    Any status below 500 will do: an app that asks its visitors to sign in is up.
    """
    try:
        service = Service(name="The app", base_url=url, headers={}, longest_body=0)
        return service.call("GET", "/", repeatable=False).status < _SERVER_ERROR
    except (ServiceFailed, ServiceTimeout):
        return False


def wait_until_answering(url: str, *, pause: Callable[[float], None]) -> bool:
    """Ask for up to 90 seconds, ever more seldom; `pause` waits for so many seconds, or raises."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    for number in range(int(_PATIENCE_SECONDS)):
        if answers(url):
            return True
        if time.monotonic() >= deadline:
            break
        pause(_PAUSES[min(number, len(_PAUSES) - 1)])
    return False
