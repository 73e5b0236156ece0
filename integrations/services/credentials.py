"""Fetching the credentials of a person's connection."""

import logging
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta

import orjson

from accounts.policies.asking import subject_of
from accounts.principals import Principal
from core.errors import Conflict
from core.request_context import current_address
from core.upstream_types import parsed_moment
from integrations.models import Connection, ConnectionStatus
from integrations.nango_ids import is_addressable, is_integration_id
from integrations.services import credential_cache
from integrations.services.access import require_own, spend_call
from integrations.services.decisions import may_use_kept
from integrations.services.single_flight import Flights
from integrations.sources.nango import (
    ConnectionWithCredentials,
    CredentialsRejected,
    Nango,
    NangoFailed,
    UnknownConnection,
)

logger = logging.getLogger(__name__)

# In an epoch all of a person's asks for one connection are one question, where the policies see them alike.
_FLIGHTS = Flights()
# What is kept begins with our id of the connection, for the policies.
_ID_LENGTH = 16
_TOKEN_NAMES = ("access_token", "api_key", "apiKey", "token")
_MARGIN = timedelta(seconds=60)


class ReconnectNeeded(Conflict):
    """409: the connection is there, but its credentials no longer work."""

    default = (
        "This connection's credentials no longer work. Reconnect it: ask POST /api/nango/connect-session "
        "with its integration_id and connection_id for a link, and open that."
    )


class RenewalRefused(ReconnectNeeded):
    """409: the service did not renew the credentials. Nango tells a service that is down like one that said no."""

    default = (
        "The service did not renew this connection's credentials: it revoked them, or it is out of order just now. "
        "Try again in a few minutes. If it stays so, reconnect the connection: ask POST /api/nango/connect-session "
        "with its integration_id and connection_id for a link, and open that."
    )


def fetch_credentials(
    *, caller: Principal, integration_id: str, connection_id: str, fresh: bool, now: datetime
) -> bytes:
    """The connection's credentials as JSON: `{"token", "connectionConfig", "raw"}`.

    `fresh` passes by what was kept from an earlier call. Raises UnknownConnection for what is not the
    caller's, ReconnectNeeded, and the client's errors.
    """
    if not is_integration_id(integration_id) or not is_addressable(connection_id):
        raise UnknownConnection
    place = credential_cache.place_of(caller, integration_id=integration_id, connection_id=connection_id)
    if place and not fresh and (kept := credential_cache.look_up(place)) is not None:
        if not may_use_kept(caller, uuid.UUID(bytes=kept[:_ID_LENGTH])):
            raise UnknownConnection
        return kept[_ID_LENGTH:]

    def ask() -> bytes:
        return _fetch(caller, place, fresh=fresh, integration_id=integration_id, connection_id=connection_id, now=now)

    if fresh:
        # What others began to ask before may be older than what this caller wants.
        return ask()
    asker = (subject_of(caller), current_address(), caller.cache_epoch)
    return _FLIGHTS.share((asker, integration_id, connection_id), ask)


def _fetch(  # noqa: PLR0913 - a connection has two ids
    caller: Principal,
    place: credential_cache.Place | None,
    *,
    fresh: bool,
    integration_id: str,
    connection_id: str,
    now: datetime,
) -> bytes:
    """Ask Nango, and keep the answer at its place."""
    nango = Nango.from_settings()
    spend_call(caller)
    if place and fresh:
        place = credential_cache.renewed(place)
    own = require_own(
        caller=caller, integration_id=integration_id, connection_id=connection_id, action="connections.use", now=now
    )
    found = _ask(nango, caller, own, integration_id=integration_id, connection_id=connection_id, now=now)
    expires_at = parsed_moment(found.credentials.get("expires_at"))
    if expires_at is not None and expires_at <= now:
        # Nango hands out an expired token as it is when it has nothing to refresh it with.
        _note(own, needs_reconnect=True)
        raise ReconnectNeeded
    if own.is_troubled:
        _note(own, needs_reconnect=False, missing_since=None, confirmed_at=now)
    answer = _as_json(found)
    if place and own.is_settled(now=now):
        credential_cache.fill(place, own.id.bytes + answer, seconds=_seconds_of_use(found, now=now))
    return answer


def _seconds_of_use(found: ConnectionWithCredentials, *, now: datetime) -> float:
    """How long the first of the connection's credentials to expire may be kept; none when it has expired."""
    # A GitHub App's connection has two tokens with a time each; the person's may be in its configuration.
    holders = (
        found.credentials,
        found.credentials.get("app"),
        found.credentials.get("user"),
        found.connection_config.get("userCredentials"),
    )
    told = (parsed_moment(holder.get("expires_at")) for holder in holders if isinstance(holder, Mapping))
    ends = [end for end in told if end is not None]
    return (min(ends) - _MARGIN - now).total_seconds() if ends else credential_cache.LONGEST_SECONDS


def _as_json(found: ConnectionWithCredentials) -> bytes:
    body = {"token": _token(found.credentials), "connectionConfig": found.connection_config, "raw": found.credentials}
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError as error:
        # It can be read deeper than it can be written; the error names no value.
        raise NangoFailed from error


def _ask(  # noqa: PLR0913 - a connection has two ids
    nango: Nango, caller: Principal, own: ConnectionStatus, *, integration_id: str, connection_id: str, now: datetime
) -> ConnectionWithCredentials:
    """Nango's answer, once its tags agree that the connection is the caller's."""
    try:
        found = nango.get_connection(integration_id=integration_id, connection_id=connection_id)
    except UnknownConnection:
        _note(own, missing_since=now)
        raise
    except CredentialsRejected as rejected:
        if rejected.owner is not None:
            _require_tagged(rejected.owner, caller, own)
        _note(own, needs_reconnect=True)
        raise RenewalRefused from rejected
    _require_tagged(found.owner, caller, own)
    return found


def _require_tagged(owner: str, caller: Principal, own: ConnectionStatus) -> None:
    if owner != str(caller.id):
        logger.error("connection %s is recorded as %s's, but its tags say otherwise", own.id, caller.id)
        raise UnknownConnection


def _note(own: ConnectionStatus, **changes: bool | datetime | None) -> None:
    Connection.objects.filter(pk=own.id).update(**changes)


def _token(credentials: Mapping[str, object]) -> str:
    values = (credentials.get(name) for name in _TOKEN_NAMES)
    return next((value for value in values if isinstance(value, str) and value), "")
