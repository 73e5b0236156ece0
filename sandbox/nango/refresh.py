"""Refreshing OAuth2 tokens on read, and what Nango does after the provider refuses."""

import uuid
from datetime import timedelta

from sandbox.nango import clock, shapes
from sandbox.nango.errors import NangoError
from sandbox.nango.state import Connection, oauth2_credentials
from sandbox.world import World

_MARGIN = timedelta(minutes=15)


def refresh_if_needed(world: World, connection: Connection, *, force: bool) -> None:
    """Bring the tokens up to date. Raises NangoError with `invalid_credentials`.

    A token is due 15 minutes before it expires. Without a refresh token it is given as it is, even
    when long expired. After a refusal every read answers 424 for 30 seconds.
    """
    if "refresh_token" not in connection.credentials:
        return
    backs_off_until = connection.backs_off_until
    if backs_off_until and backs_off_until > clock.now():
        raise _refused(424, connection, "The refresh failed before. Backing off.")
    if not force and not _is_due(connection):
        return
    if connection.refresh == "exhausted" and not force:
        raise _refused(424, connection, "The refresh limit is reached. Reconnect.")
    # A token that was imported is none of the providers' that are played here.
    if connection.refresh != "ok" or not str(connection.credentials["refresh_token"]).startswith("sandbox-"):
        raise _fail(world, connection)
    _renew(connection)


def _is_due(connection: Connection) -> bool:
    expires_at = connection.credentials.get("expires_at")
    return isinstance(expires_at, str) and clock.read(expires_at) <= clock.now() + _MARGIN


def _renew(connection: Connection) -> None:
    provider = connection.integration.provider.name
    connection.credentials = oauth2_credentials(provider=provider)
    connection.refreshes += 1
    connection.updated = clock.now()
    connection.errors = []


def _fail(world: World, connection: Connection) -> NangoError:
    pause = timedelta(seconds=world.settings.refresh_backoff_seconds)
    connection.refreshes += 1
    connection.backs_off_until = clock.now() + pause
    connection.errors = [{"type": "auth", "log_id": uuid.uuid4().hex[:20]}]
    world.webhooks.report(
        connection,
        operation="refresh",
        settings=world.settings,
        error={"type": "refresh_token_external_error", "description": "The provider refused"},
    )
    return _refused(400, connection, "The external API returned an error when refreshing tokens")


def _refused(status: int, connection: Connection, message: str) -> NangoError:
    shown = shapes.detailed(connection, credentials={})
    return NangoError(status, "invalid_credentials", message, payload={"connection": shown})
