"""Connect sessions: a link with which a person connects an account for 30 minutes."""

from collections.abc import Mapping
from typing import cast

from aiohttp import web

from sandbox.answers import json_answer
from sandbox.nango import clock, schemas
from sandbox.nango.access import Call
from sandbox.nango.errors import NangoError, issue
from sandbox.nango.state import SESSION_LIFETIME, Address, Session, new_session_token
from sandbox.nango.tags import full_end_user, tags_of
from sandbox.nango.validation import check_body, check_query


def create_session(call: Call) -> web.Response:
    """POST /connect/sessions."""
    check_query(schemas.no_query, call.query)
    check_body(schemas.session_body, call.body)
    body = cast("dict[str, object]", call.body)
    allowed = cast("list[str]", body.get("allowed_integrations", []))
    _check_integrations(call, body, allowed)
    return _open(call, body, allowed=allowed)


def create_reconnect_session(call: Call) -> web.Response:
    """POST /connect/sessions/reconnect: keeps the connection's id, and nothing of its tags."""
    check_query(schemas.no_query, call.query)
    check_body(schemas.reconnect_body, call.body)
    body = cast("dict[str, object]", call.body)
    address = (str(body["integration_id"]), str(body["connection_id"]))
    if address not in call.nango.connections:
        field = "connection_id" if address[0] in call.nango.integrations else "integration_id"
        raise NangoError(400, "invalid_body", f"The {field} does not exist")
    _check_integrations(call, body, [])
    return _open(call, body, allowed=[address[0]], reconnects=address)


def show_session(call: Call) -> web.Response:
    """GET /connect/session."""
    assert call.session is not None
    session = call.session
    # It says nothing of the tags.
    shown: dict[str, object] = {
        "endUser": session.end_user,
        "connectUISettings": {"showWatermark": True, "defaultTheme": "system"},
        "websocketsPath": "/",
    }
    if session.allowed:
        shown["allowed_integrations"] = session.allowed
    if session.defaults:
        shown["integrations_config_defaults"] = session.defaults
    shown["is_reconnecting"] = session.reconnects is not None
    return json_answer({"data": shown})


def revoke_session(call: Call) -> web.Response:
    """DELETE /connect/session."""
    assert call.session is not None
    del call.nango.sessions[call.session.token]
    return web.Response(status=204)


def _check_integrations(call: Call, body: Mapping[str, object], allowed: list[str]) -> None:
    issues = [
        issue("custom", "Integration does not exist", ("allowed_integrations", str(i)))
        for i, key in enumerate(allowed)
        if key not in call.nango.integrations
    ]
    defaults = cast("dict[str, object]", body.get("integrations_config_defaults", {}))
    issues += [
        issue("custom", "Integration does not exist", ("integrations_config_defaults", key))
        for key in defaults
        if key not in call.nango.integrations
    ]
    if issues:
        raise NangoError(400, "invalid_body", issues=issues)
    overrides = cast("dict[str, dict[str, object]]", body.get("overrides", {}))
    if any("docs_connect" in override for override in overrides.values()):
        message = "Overriding the documentation link is not part of the plan"
        raise NangoError(403, "forbidden", message)


def _open(
    call: Call,
    body: Mapping[str, object],
    *,
    allowed: list[str],
    reconnects: Address | None = None,
) -> web.Response:
    end_user = full_end_user(body.get("end_user"), body.get("organization"))
    session = Session(
        token=new_session_token(),
        expires_at=clock.now() + SESSION_LIFETIME,
        tags=tags_of(end_user=end_user, sent=cast("Mapping[str, str] | None", body.get("tags"))),
        end_user=end_user,
        allowed=allowed,
        defaults=cast("dict[str, object]", body.get("integrations_config_defaults", {})),
        reconnects=reconnects,
        webhook_url_override=cast("str | None", body.get("webhook_url_override")) or None,
    )
    call.nango.open_session(session)
    data = {
        "token": session.token,
        "connect_link": f"{call.origin}/nango/connect/?session_token={session.token}",
        "expires_at": clock.zulu(session.expires_at),
    }
    return json_answer({"data": data}, status=201)
