"""The shapes in which Nango shows a connection."""

import re

from sandbox.nango import clock
from sandbox.nango.state import Connection

_RAW = ("access_token", "refresh_token", "expires_at")
_REFRESH_TOKEN = re.compile(r"refresh[_\- ]?token\Z", re.IGNORECASE)


def listed(connection: Connection) -> dict[str, object]:
    """Show a connection as in the list: no credentials, `created` instead of `created_at`."""
    return {
        "id": connection.id,
        "connection_id": connection.connection_id,
        "provider_config_key": connection.integration.unique_key,
        "provider": connection.integration.provider.name,
        "errors": connection.errors,
        "end_user": connection.end_user,
        "tags": connection.tags,
        "metadata": connection.metadata,
        "created": clock.listed(connection.created),
    }


def detailed(connection: Connection, *, credentials: dict[str, object]) -> dict[str, object]:
    """Show a connection as in its detail, with the credentials that the caller may see."""
    fetched = connection.last_fetched
    return {
        "id": connection.id,
        "connection_id": connection.connection_id,
        "provider_config_key": connection.integration.unique_key,
        "provider": connection.integration.provider.name,
        "errors": connection.errors,
        "end_user": connection.end_user,
        "tags": connection.tags,
        "metadata": connection.metadata,
        "connection_config": connection.connection_config,
        "webhook_url_override": connection.webhook_url_override,
        "created_at": clock.detailed(connection.created),
        "updated_at": clock.detailed(connection.updated),
        "last_fetched_at": clock.detailed(fetched) if fetched else None,
        "credentials": credentials,
    }


def imported(connection: Connection) -> dict[str, object]:
    """Show a connection as the answer to its import: refresh token and all, its times in another spelling."""
    credentials = credentials_of(connection, with_refresh_token=True)
    if credentials.get("type") == "OAUTH2":
        credentials = {**credentials, "raw": {name: credentials[name] for name in _RAW if name in credentials}}
    shown = detailed(connection, credentials=credentials)
    shown["created_at"] = clock.zulu(connection.created)
    shown["updated_at"] = clock.zulu(connection.updated)
    shown["last_fetched_at"] = None
    return shown


def credentials_of(connection: Connection, *, with_refresh_token: bool) -> dict[str, object]:
    """Show credentials; refresh tokens are left out at any depth unless asked for."""
    credentials = connection.credentials
    if credentials.get("type") == "NONE":
        return {}
    shown = credentials if with_refresh_token else _without_refresh_tokens(credentials)
    assert isinstance(shown, dict)
    return shown


def _without_refresh_tokens(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_refresh_tokens(inner) for key, inner in value.items() if not _REFRESH_TOKEN.match(key)}
    if isinstance(value, list):
        return [_without_refresh_tokens(inner) for inner in value]
    return value
