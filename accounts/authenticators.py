"""Chains of authenticators: which credentials each surface of the server accepts, in their order.

An authenticator looks at a credential and says that it is none of its own (None), whose it is (a Principal), or refuses
it by raising. A refusal ends the chain: what one authenticator knows as its own is never tried on a weaker one. Chains
stand here and in no setting, so that none can be emptied from outside; `problems` keeps a server with a broken one from
starting.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from django.conf import settings
from django.db import DatabaseError, InterfaceError

from accounts import bearer, key_bearer, trusted_issuers
from accounts.bearer import InvalidToken
from accounts.oauth import access_tokens
from accounts.principals import Principal
from core.errors import ApplicationError, Unavailable

logger = logging.getLogger(__name__)

# Bounds what is looked at; a JWT is the longest of all credentials.
_LONGEST = 8192
HTTP, KEYS, FORWARD = "http", "keys", "forward"
# Workers' keys are for the services beside this server, which ask about them; they open none of its own routes.
CHAINS: dict[str, tuple[str, ...]] = {
    HTTP: ("access_token", "jwt", "api_key", "static_key", "foreign_token", "foreign_key"),
    KEYS: ("api_key", "worker_key", "static_key"),
    # Of whoever a proxy in front of another service asks about: all of both.
    FORWARD: ("access_token", "jwt", "api_key", "worker_key", "static_key", "foreign_token", "foreign_key"),
}

# What [auth.endpoints.http] of CONFIG_FILE may leave out of HTTP, and what it calls them.
_NAMES_IN_FILE = {
    "static_key": "static_api_key",
    "foreign_token": "better_auth_jwt",
    "foreign_key": "better_auth_api_key",
}


class Authenticator(Protocol):
    """One kind of credential."""

    def __call__(self, credential: str, *, now: datetime) -> Principal | None:
        """Whose it is; None for what isn't of this kind. Raises Unauthenticated or Forbidden to refuse it."""


class CannotDecide(Unavailable):
    """503: an authenticator failed, so nobody is let in."""

    default = "Who you are can't be looked up right now. Please try again in a moment."


_authenticators: dict[str, Authenticator] = {
    "access_token": bearer.access_token,
    "jwt": access_tokens.jwt_of_ours,
    "api_key": key_bearer.api_key,
    "worker_key": key_bearer.worker_key,
    "static_key": key_bearer.static_key,
    "foreign_token": trusted_issuers.foreign_token,
    "foreign_key": trusted_issuers.foreign_key,
}


def authenticator(name: str) -> Callable[[Authenticator], Authenticator]:
    """Register one more kind, under the name that chains call it by. Raises ValueError for a name that is taken."""

    def register(known: Authenticator) -> Authenticator:
        if name in _authenticators:
            raise ValueError(f"There is an authenticator {name} already.")
        _authenticators[name] = known
        return known

    return register


def authenticate(chain: str, credential: str, *, now: datetime) -> Principal:
    """Whose credential this is, by the chain of that name.

    Raises InvalidToken (401) where none of its authenticators knows it, what the one raises that does, and CannotDecide
    (503) where one fails.
    """
    if len(credential) <= _LONGEST:
        for name in CHAINS[chain]:
            principal = _asked(name, credential, now) if chain == KEYS or _is_wanted(name) else None
            if principal is not None:
                return principal
    raise InvalidToken


def _is_wanted(name: str) -> bool:
    """Whether CONFIG_FILE doesn't leave this out for requests over HTTP; what it has no word for it can't."""
    endpoints = settings.HTTP_ENDPOINTS
    return endpoints is None or _NAMES_IN_FILE.get(name, name) in {*endpoints.authenticators, name}


def _asked(name: str, credential: str, now: datetime) -> Principal | None:
    try:
        return _authenticators[name](credential, now=now)
    except (ApplicationError, DatabaseError, InterfaceError):
        raise
    except Exception as error:
        logger.exception("the authenticator %s failed", name)
        raise CannotDecide from error


def problems(chains: Mapping[str, tuple[str, ...]] = CHAINS) -> list[str]:
    """What is wrong with the chains, in sentences; a server with any of it must not start."""
    empty = [f"The chain {name} is empty." for name, chain in chains.items() if not chain]
    unknown = [
        f"The chain {name} names {one}, which is no authenticator."
        for name, chain in chains.items()
        for one in chain
        if one not in _authenticators
    ]
    return empty + unknown
