"""Connections: listing them, and reading one with its credentials."""

from collections.abc import Iterable

from aiohttp import web

from sandbox.answers import json_answer
from sandbox.nango import clock, schemas, shapes
from sandbox.nango.access import Call
from sandbox.nango.errors import NangoError, unknown_integration
from sandbox.nango.refresh import refresh_if_needed
from sandbox.nango.state import Connection
from sandbox.nango.tags import lowered
from sandbox.nango.validation import check_path, check_query, is_true

_MOST_WITHOUT_LIMIT = 10_000
_READ_CREDENTIALS = "environment:connections:read_credentials"


def list_connections(call: Call) -> web.Response:
    """GET /connections: newest first, filters joined by AND, no total and no cursor."""
    check_query(schemas.list_query, call.query)
    tags = call.query.get("tags")
    found = call.nango.candidates(
        connection_id=_text(call, "connectionId"),
        tags=lowered(tags) if isinstance(tags, dict) else {},
    )
    kept = [connection for connection in found if _matches(call, connection)]
    kept.sort(key=lambda connection: (connection.created, connection.id), reverse=True)
    limit = int(_text(call, "limit") or _MOST_WITHOUT_LIMIT)
    start = int(_text(call, "page") or 0) * limit
    page = kept[start : start + limit]
    return json_answer({"connections": [shapes.listed(connection) for connection in page]})


def get_connection(call: Call) -> web.Response:
    """GET /connections/{connection_id}?provider_config_key=…: refreshes tokens that are due."""
    check_query(schemas.detail_query, call.query)
    check_path(schemas.connection_in_path, {"connectionId": call.request.match_info["connection_id"]})
    asks_for_secrets = ("force_refresh", "refresh_token", "refresh_github_app_jwt_token")
    if any(is_true(call.query.get(name)) for name in asks_for_secrets):
        call.need_scope(_READ_CREDENTIALS)
    connection = find(call)
    if not call.has_scope(_READ_CREDENTIALS):
        return json_answer(shapes.detailed(connection, credentials={}))
    refresh_if_needed(call.world, connection, force=is_true(call.query.get("force_refresh")))
    connection.last_fetched = clock.now()
    credentials = shapes.credentials_of(connection, with_refresh_token=is_true(call.query.get("refresh_token")))
    return json_answer(shapes.detailed(connection, credentials=credentials))


def find(call: Call) -> Connection:
    """Find the connection of the path and `provider_config_key`.

    Raises NangoError: 400 for an unknown integration, 404 for an unknown connection.
    """
    key = _text(call, "provider_config_key") or ""
    if key not in call.nango.integrations:
        raise unknown_integration(400, key)
    connection = call.nango.connections.get((key, call.request.match_info["connection_id"]))
    if connection is None:
        raise NangoError(404, "not_found", "Failed to find connection")
    return connection


def _matches(call: Call, connection: Connection) -> bool:
    wanted = _text(call, "integrationId")
    if wanted is not None and connection.integration.unique_key not in wanted.split(","):
        return False
    searched = _text(call, "search")
    if searched is not None and not any(searched.lower() in text for text in _searchable(connection)):
        return False
    end_user = connection.end_user or {}
    organization = end_user.get("organization")
    organization_id = organization.get("id") if isinstance(organization, dict) else None
    return call.query.get("endUserId") in (None, end_user.get("id")) and call.query.get("endUserOrganizationId") in (
        None,
        organization_id,
    )


def _searchable(connection: Connection) -> Iterable[str]:
    """Give what `search` looks into; tags are not among it."""
    end_user = connection.end_user or {}
    fields = (connection.connection_id, end_user.get("display_name"), end_user.get("email"))
    return (field.lower() for field in fields if isinstance(field, str))


def _text(call: Call, name: str) -> str | None:
    value = call.query.get(name)
    return value if isinstance(value, str) else None
