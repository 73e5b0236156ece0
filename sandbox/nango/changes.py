"""Connections: import, patch, metadata and delete."""

import json
from collections.abc import Mapping
from typing import cast

from aiohttp import web

from sandbox.answers import json_answer
from sandbox.nango import clock, schemas, shapes
from sandbox.nango.access import Call
from sandbox.nango.catalogue import Integration
from sandbox.nango.connections import find
from sandbox.nango.errors import NangoError, unknown_integration
from sandbox.nango.state import Connection
from sandbox.nango.tags import full_end_user, tags_of
from sandbox.nango.validation import check_body, check_path, check_query
from sandbox.world import World

_LONGEST_KEPT_ID = 255


def import_connection(call: Call) -> web.Response:
    """POST /connections: make or replace. Tags and metadata that are not sent are wiped."""
    check_query(schemas.no_query, call.query)
    check_body(schemas.import_body, call.body)
    body = cast("dict[str, object]", call.body)
    key = str(body["provider_config_key"])
    integration = call.nango.integrations.get(key)
    if integration is None:
        raise NangoError(404, "not_found", f'Integration "{key}" does not exist')
    credentials = cast("dict[str, object]", body["credentials"])
    check_credentials(call.world, integration, credentials)
    _require_storable(body)
    sent = body.get("connection_id")
    existing = call.nango.connections.get((key, str(sent))) if sent is not None else None
    connection = _replace(call, existing, body) if existing else _add(call, integration, body)
    operation = "override" if existing else "creation"
    call.world.webhooks.report(connection, operation=operation, settings=call.world.settings)
    return json_answer(shapes.imported(connection), status=201)


def check_credentials(world: World, integration: Integration, credentials: Mapping[str, object]) -> None:
    """Raise 400 for the wrong kind of credentials, and for those the provider is told to refuse."""
    mode = integration.provider.auth_mode
    if credentials["type"] != mode:
        message = f"credentials type mismatch: {integration.provider.name} needs {mode}"
        raise NangoError(400, "invalid_body", message)
    refused = world.settings.refused_credentials
    if any(value in refused for value in credentials.values()):
        raise NangoError(400, "connection_test_failed", "The provider refused the credentials")


def patch_connection(call: Call) -> web.Response:
    """PATCH /connections/{connection_id}: `tags` replaces the whole set."""
    check_address(call)
    check_body(schemas.patch_body, call.body)
    connection = find(call)
    body = cast("dict[str, object]", call.body)
    if "webhook_url_override" in body:
        connection.webhook_url_override = str(body["webhook_url_override"]) or None
    if "end_user" in body:
        connection.end_user = full_end_user(body["end_user"])
    if "tags" in body or "end_user" in body:
        call.nango.tag(connection, _tags(body))
    connection.updated = clock.now()
    return json_answer({"success": True})


def set_metadata(call: Call) -> web.Response:
    """POST /connections/metadata: replace."""
    return _change_metadata(call, merge=False)


def merge_metadata(call: Call) -> web.Response:
    """PATCH /connections/metadata: merge, top level only."""
    return _change_metadata(call, merge=True)


def delete_connection(call: Call) -> web.Response:
    """DELETE /connections/{connection_id}: whatever is unknown gives 400, and no webhook is sent."""
    check_address(call)
    try:
        connection = find(call)
    except NangoError:
        raise NangoError(400, "unknown_connection", "Unknown connection") from None
    call.nango.remove(connection)
    return json_answer({"success": True})


def check_address(call: Call) -> None:
    """Raise the 400 of a query or an id that no connection is found by."""
    check_query(schemas.pair_query, call.query)
    check_path(schemas.connection_in_path, {"connectionId": call.request.match_info["connection_id"]})


def _require_storable(body: Mapping[str, object]) -> None:
    """Raise 500 for what PostgreSQL refuses to keep: nobody looked at it before."""
    kept = json.dumps([body.get(name) for name in ("connection_id", "connection_config", "metadata", "tags")])
    if "\\u0000" in kept or len(str(body.get("connection_id", ""))) > _LONGEST_KEPT_ID:
        raise NangoError(500, "server_error", "Failed to import the connection")


def _add(call: Call, integration: Integration, body: Mapping[str, object]) -> Connection:
    return call.nango.add(
        integration=integration,
        credentials=cast("dict[str, object]", body["credentials"]),
        tags=_tags(body),
        connection_id=cast("str | None", body.get("connection_id")),
        end_user=full_end_user(body.get("end_user")),
        metadata=cast("dict[str, object]", body.get("metadata", {})),
        connection_config=cast("dict[str, object]", body.get("connection_config", {})),
        webhook_url_override=cast("str | None", body.get("webhook_url_override")),
    )


def _replace(call: Call, connection: Connection, body: Mapping[str, object]) -> Connection:
    connection.credentials = cast("dict[str, object]", body["credentials"])
    connection.metadata = cast("dict[str, object]", body.get("metadata", {}))
    connection.connection_config = cast("dict[str, object]", body.get("connection_config", {}))
    connection.end_user = full_end_user(body.get("end_user"))
    if "webhook_url_override" in body:
        connection.webhook_url_override = str(body["webhook_url_override"]) or None
    call.nango.tag(connection, _tags(body))
    heal(connection)
    return connection


def heal(connection: Connection) -> None:
    """Forget the failures of credentials that were replaced."""
    connection.errors = []
    connection.refresh = "ok"
    connection.backs_off_until = None
    connection.updated = clock.now()


def _tags(body: Mapping[str, object]) -> dict[str, str]:
    return tags_of(
        end_user=cast("Mapping[str, object] | None", body.get("end_user")),
        sent=cast("Mapping[str, str] | None", body.get("tags")),
    )


def _change_metadata(call: Call, *, merge: bool) -> web.Response:
    check_query(schemas.no_query, call.query)
    check_body(schemas.metadata_body, call.body)
    body = cast("dict[str, object]", call.body)
    key = str(body["provider_config_key"])
    if key not in call.nango.integrations:
        raise unknown_integration(400, key)
    ids = body["connection_id"]
    wanted = [(key, str(one)) for one in (ids if isinstance(ids, list) else [ids])]
    if any(address not in call.nango.connections for address in wanted):
        raise NangoError(404, "unknown_connection", "Unknown connection")
    sent = cast("dict[str, object]", body["metadata"])
    for address in wanted:
        connection = call.nango.connections[address]
        connection.metadata = {**(connection.metadata or {}), **sent} if merge else dict(sent)
        connection.updated = clock.now()
    return json_answer(body, status=200 if merge else 201)
