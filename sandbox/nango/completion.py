"""What happens when a person has connected: by page, or headless by the frontend's routes."""

import uuid
from collections.abc import Mapping
from typing import cast
from urllib.parse import urlencode

from aiohttp import web

from sandbox.answers import found, json_answer
from sandbox.nango import schemas
from sandbox.nango.access import Call
from sandbox.nango.catalogue import Integration
from sandbox.nango.changes import check_credentials, heal
from sandbox.nango.errors import NangoError, unknown_integration, unknown_session
from sandbox.nango.state import Connection, Session
from sandbox.nango.validation import Check, check_body, check_query
from sandbox.world import World


def complete(
    world: World,
    session: Session,
    integration: Integration,
    *,
    credentials: dict[str, object],
    params: Mapping[str, object] | None = None,
) -> Connection:
    """Make the connection of a session, or renew the one it reconnects, and send the webhook.

    The session stays good: one token may connect several times. Raises NangoError.
    """
    config = {**(params or {}), **_default_config(session, integration)}
    if session.reconnects is None:
        connection = world.nango.add(
            integration=integration,
            credentials=credentials,
            tags=session.tags,
            end_user=session.end_user,
            connection_config=config,
            webhook_url_override=session.webhook_url_override,
        )
    else:
        connection = _renew(world, session, credentials=credentials, config=config)
    world.webhooks.report(
        connection,
        operation="creation" if session.reconnects is None else "override",
        settings=world.settings,
        end_user=session.end_user,
    )
    return connection


def deny(world: World, session: Session, integration: Integration) -> None:
    """What happens when the person says no at the provider: a webhook of a creation that failed, without tags.

    Also when a connection was to be renewed, which then bears that connection's id.
    """
    connection_id = session.reconnects[1] if session.reconnects else str(uuid.uuid4())
    world.webhooks.report_denied(integration, connection_id, settings=world.settings)


def with_api_key(call: Call) -> web.Response:
    """POST /api-auth/api-key/{key}?connect_session_token=…."""
    return _headless(call, mode="API_KEY", schema=schemas.api_key_body)


def with_basic(call: Call) -> web.Response:
    """POST /api-auth/basic/{key}?connect_session_token=…."""
    return _headless(call, mode="BASIC", schema=schemas.basic_body)


def with_oauth(call: Call) -> web.Response:
    """GET /oauth/connect/{key}?connect_session_token=…: on to the page that asks the person."""
    session, integration = _session_and_integration(call)
    if integration.provider.auth_mode != "OAUTH2":
        raise NangoError(400, "invalid_auth_mode", "The integration does not use OAuth")
    query = urlencode(
        {"session_token": session.token, "integration": integration.unique_key, "apiURL": f"{call.origin}/nango"}
    )
    return found(f"{call.origin}/nango/connect/?{query}")


def allowed_integration(world: World, session: Session, key: str) -> Integration:
    """Find an integration that the session may connect. Raises NangoError."""
    integration = world.nango.integrations.get(key)
    if integration is None:
        raise unknown_integration(404, key)
    if not session.allows(key):
        raise NangoError(400, "integration_not_allowed", "The session does not allow it")
    return integration


def _headless(call: Call, *, mode: str, schema: Check) -> web.Response:
    session, integration = _session_and_integration(call)
    check_body(schema, call.body)
    if integration.provider.auth_mode != mode:
        raise NangoError(400, "invalid_auth_mode", f"The integration does not use {mode}")
    credentials = {"type": mode, **cast("dict[str, object]", call.body)}
    check_credentials(call.world, integration, credentials)
    connection = complete(
        call.world,
        session,
        integration,
        credentials=credentials,
        params=cast("Mapping[str, object] | None", call.query.get("params")),
    )
    return json_answer({"connectionId": connection.connection_id, "providerConfigKey": integration.unique_key})


def _session_and_integration(call: Call) -> tuple[Session, Integration]:
    check_query(schemas.completion_query, call.query)
    session = call.nango.session(str(call.query["connect_session_token"]))
    if session is None:
        raise unknown_session()
    return session, allowed_integration(call.world, session, call.request.match_info["key"])


def _renew(world: World, session: Session, *, credentials: dict[str, object], config: dict[str, object]) -> Connection:
    assert session.reconnects is not None
    connection = world.nango.connections.get(session.reconnects)
    if connection is None:
        raise NangoError(400, "invalid_connection", "The connection was deleted")
    connection.credentials = credentials
    if credentials["type"] in ("API_KEY", "BASIC"):
        connection.metadata = {}
        connection.connection_config = config
    else:
        connection.connection_config |= config
    if session.end_user is not None:
        connection.end_user = session.end_user
    # A reconnect session without tags wipes those of the connection: the trap that clients must
    # know of.
    world.nango.tag(connection, dict(session.tags))
    heal(connection)
    return connection


def _default_config(session: Session, integration: Integration) -> dict[str, object]:
    defaults = cast("dict[str, dict[str, object]]", session.defaults)
    config = defaults.get(integration.unique_key, {}).get("connection_config", {})
    return cast("dict[str, object]", config)
