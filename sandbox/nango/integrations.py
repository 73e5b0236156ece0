"""Integrations and the catalogue of providers."""

from aiohttp import web

from sandbox.answers import json_answer
from sandbox.nango import schemas
from sandbox.nango.access import Call
from sandbox.nango.catalogue import PROVIDERS, Integration
from sandbox.nango.errors import NangoError
from sandbox.nango.validation import check_query


def list_integrations(call: Call) -> web.Response:
    """GET /integrations: takes no parameters; a session sees what it may connect."""
    check_query(schemas.no_query, call.query)
    shown = [
        integration.as_json(origin=call.origin)
        for integration in call.nango.integrations.values()
        if call.session is None or call.session.allows(integration.unique_key)
    ]
    return json_answer({"data": shown})


def get_integration(call: Call) -> web.Response:
    """GET /integrations/{unique_key}?include=webhook&include=credentials."""
    check_query(schemas.integration_query, call.query)
    key = call.request.match_info["key"]
    integration = call.nango.integrations.get(key)
    if integration is None:
        raise NangoError(404, "not_found", f'Integration "{key}" does not exist')
    shown = integration.as_json(origin=call.origin)
    asked = call.query.get("include", [])
    if "webhook" in (asked if isinstance(asked, list) else [asked]):
        shown["webhook_url"] = f"{call.origin}/nango/webhook/sandbox/{key}"
    if "credentials" in (asked if isinstance(asked, list) else [asked]):
        call.need_scope("environment:integrations:read_credentials")
        shown["credentials"] = _application_of(integration)
    return json_answer({"data": shown})


def list_providers(call: Call) -> web.Response:
    """GET /providers."""
    check_query(schemas.no_query, call.query)
    return json_answer({"data": [provider.as_json() for provider in PROVIDERS.values()]})


def get_provider(call: Call) -> web.Response:
    """GET /providers/{provider}: the only place that tells the auth mode."""
    check_query(schemas.no_query, call.query)
    name = call.request.match_info["provider"]
    if name not in PROVIDERS:
        raise NangoError(404, "not_found", f"Unknown provider {name}")
    return json_answer({"data": PROVIDERS[name].as_json()})


def _application_of(integration: Integration) -> dict[str, object] | None:
    """Give the OAuth application set up for an integration; other modes have none."""
    if integration.provider.auth_mode != "OAUTH2":
        return None
    return {
        "type": "OAUTH2",
        "client_id": f"sandbox-{integration.unique_key}-client",
        "client_secret": f"sandbox-{integration.unique_key}-secret",
        "scopes": None,
    }
