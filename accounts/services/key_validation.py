"""Whether a key is good, for services beside this server that are handed one: `POST /api/auth/validate-key`.

Anybody may ask, since whoever has a key may know whether it works. What is no key, unknown, expired, revoked, used from
the wrong network, or of somebody who is suspended is answered alike, and costs alike.
"""

from datetime import datetime

from django.conf import settings

from accounts.authenticators import KEYS, authenticate
from accounts.principals import SCOPES, Principal
from core.errors import Forbidden, Unauthenticated
from core.network_limits import NetworkLimit


def validate(*, key: str, address: str, now: datetime) -> Principal | None:
    """Whose key this is, of a person, a worker or a service; None for one that isn't good. Raises TooManyRequests.

    Two queries at most: the second one writes down, once a minute, that the key was used.
    """
    NetworkLimit("validate-key", settings.VALIDATE_KEY_PER_MINUTE, "minute").spend(address)
    try:
        return authenticate(KEYS, key, now=now)
    except (Unauthenticated, Forbidden):
        return None


def permissions_of(principal: Principal) -> dict[str, list[str]]:
    """What the key may, by what it is done to: {"connections": ["read", "use"]}."""
    found: dict[str, list[str]] = {}
    for scope in SCOPES:
        if principal.may(scope):
            subject, _, verb = scope.partition(":")
            found.setdefault(subject, []).append(verb)
    return found
