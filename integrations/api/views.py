"""The integrations API."""

import orjson
from django.core.exceptions import RequestDataTooBig
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from accounts.current_user import caller_of
from core.api import Endpoint, TooLarge, json_body, json_response, query, required, success
from core.errors import Malformed
from core.needs import Needs
from core.openapi import documented
from core.schemas import validated
from integrations.api import schemas
from integrations.nango_ids import LONGEST_ID, is_connection_id
from integrations.services import connect_sessions, connections, creation, deletion, integrations, use_log, webhooks
from integrations.services.credentials import fetch_credentials

_TAG = "integrations"
_UPSTREAM = (502, 504)


class IntegrationsView(Endpoint):
    """GET /api/integrations."""

    required_action = "integrations.view"

    needs = {"GET": Needs("connections:read", people_only=False)}

    @documented(
        summary="List integrations",
        data=list[schemas.IntegrationAnswer],
        tag=_TAG,
        errors=_UPSTREAM,
    )
    def get(self, request: Request) -> HttpResponse:  # noqa: ARG002 - everybody sees the same
        """Tell which services can be connected."""
        return success(orjson.Fragment(integrations.list_integrations()))


class ConnectionsView(Endpoint):
    """GET /api/integrations/{integration_id}/connections."""

    required_action = "connections.view"

    needs = {"GET": Needs("connections:read")}

    @documented(
        summary="List connections",
        data=list[schemas.ConnectionAnswer],
        tag=_TAG,
        errors=[404, *_UPSTREAM],
    )
    def get(self, request: Request, integration_id: str) -> HttpResponse:
        """Tell which connections of the integration are the caller's, newest first."""
        listed = connections.list_connections(
            caller=caller_of(request), integration_id=integration_id, now=timezone.now()
        )
        return success(
            [
                schemas.ConnectionAnswer(
                    connection_id=item.connection_id,
                    provider_config_key=item.integration_id,
                    provider=item.provider,
                    created_at=item.created_at,
                    created=item.created_at,
                    errors=[schemas.Trouble(type=error.type, log_id=error.log_id) for error in item.errors],
                    metadata=item.metadata,
                )
                for item in listed
            ]
        )


class CredentialsView(Endpoint):
    """GET /api/credentials/{integration_id}."""

    required_action = "connections.use"

    needs = {"GET": Needs("connections:use")}

    @documented(
        summary="Fetch credentials",
        data=schemas.CredentialsAnswer,
        tag=_TAG,
        parameters=[
            OpenApiParameter("connection_id", str, required=True, description="One of the caller's connections."),
            OpenApiParameter(
                "Cache-Control",
                str,
                OpenApiParameter.HEADER,
                description="`no-cache` asks Nango anew instead of answering what was fetched a moment ago.",
            ),
        ],
        errors=[404, 409, *_UPSTREAM],
    )
    def get(self, request: Request, integration_id: str) -> HttpResponse:
        """Give the credentials of one of the caller's connections, refreshed where that is possible."""
        connection_id = required(query(request), "connection_id", at_most=LONGEST_ID)
        if not is_connection_id(connection_id):
            raise Malformed("connection_id: This is not a connection id.")
        # HEAD hands nothing out, so it is no use of the credential.
        hand_out = fetch_credentials if request.method == "HEAD" else use_log.hand_out
        found = hand_out(
            caller=caller_of(request),
            integration_id=integration_id,
            connection_id=connection_id,
            fresh=_wants_fresh(request),
            now=timezone.now(),
        )
        return success(orjson.Fragment(found))


class ConnectSessionView(Endpoint):
    """POST /api/nango/connect-session."""

    required_action = "connections.create"

    needs = {"POST": Needs("connections:write")}

    @documented(
        summary="Create a connect session",
        data=schemas.ConnectSessionAnswer,
        tag=_TAG,
        request=schemas.ConnectSessionRequest,
        errors=[404, *_UPSTREAM],
    )
    def post(self, request: Request) -> HttpResponse:
        """Give a link on which the caller connects an account, or reconnects one."""
        asked = validated(schemas.ConnectSessionRequest, json_body(request))
        session = connect_sessions.create_connect_session(
            caller=caller_of(request),
            integration_id=asked.integration_id,
            connection_id=asked.connection_id,
            now=timezone.now(),
        )
        return success(
            schemas.ConnectSessionAnswer(
                token=session.token, connectLink=session.connect_link, expiresAt=session.expires_at
            )
        )


class CreateView(Endpoint):
    """POST /api/connections/create."""

    required_action = "connections.create"

    needs = {"POST": Needs("connections:write")}

    @documented(
        summary="Create a connection",
        data=schemas.CreatedConnection,
        tag=_TAG,
        request=schemas.NewConnection,
        errors=[404, 409, *_UPSTREAM],
    )
    def post(self, request: Request) -> HttpResponse:
        """Make a connection from credentials, or replace those of one of the caller's."""
        asked = validated(schemas.NewConnection, json_body(request))
        creation.create_connection(
            caller=caller_of(request),
            integration_id=asked.integration_id,
            connection_id=asked.connection_id,
            credentials=asked.credentials.of_kind(),
            connection_config=asked.connection_config,
            now=timezone.now(),
        )
        return success(schemas.CreatedConnection(connection_id=asked.connection_id))


class DeleteView(Endpoint):
    """POST /api/connections/delete."""

    required_action = "connections.delete"

    needs = {"POST": Needs("connections:write")}

    @documented(
        summary="Delete a connection",
        data=schemas.Ok,
        tag=_TAG,
        request=schemas.ConnectionAddress,
        errors=[404, *_UPSTREAM],
        enveloped=False,
    )
    def post(self, request: Request) -> HttpResponse:
        """Delete one of the caller's connections."""
        asked = validated(schemas.ConnectionAddress, json_body(request))
        deletion.delete_connection(
            caller=caller_of(request),
            integration_id=asked.integration_id,
            connection_id=asked.connection_id,
            now=timezone.now(),
        )
        return json_response(schemas.Ok(ok=True))


class NangoWebhookView(Endpoint):
    """POST /webhooks/nango: for Nango, which signs what it sends."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @documented(
        summary="Receive a Nango webhook",
        data=schemas.WebhookAnswer,
        tag="webhooks",
        parameters=[
            OpenApiParameter(
                "X-Nango-Hmac-Sha256", str, OpenApiParameter.HEADER, description="Hex HMAC-SHA256 of the raw body."
            )
        ],
        errors=[401],
        public=True,
    )
    def post(self, request: Request) -> HttpResponse:
        """Take the news of a connection that was made, renewed or can't be refreshed."""
        try:
            body = request._request.body  # noqa: SLF001 - the signature is over the raw bytes
        except RequestDataTooBig as error:
            raise TooLarge from error
        signature = request.META.get("HTTP_X_NANGO_HMAC_SHA256", "")
        return success(
            schemas.WebhookAnswer(status=webhooks.receive(body=body, signature=signature, now=timezone.now()))
        )


def _wants_fresh(request: Request) -> bool:
    """Whether the caller sent `Cache-Control: no-cache` (RFC 9111, section 5.2.1.4)."""
    sent = request.META.get("HTTP_CACHE_CONTROL", "")
    return bool(sent) and "no-cache" in {directive.strip().lower() for directive in sent.split(",")}
