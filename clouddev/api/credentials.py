"""The cloud dev API, about what opens a workspace: its SSH key, the tokens it verifies, and those that were revoked."""

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from accounts.current_user import caller_of
from clouddev.api import schemas
from clouddev.api.schemas import APP_NAME, TAG, app_name_of
from clouddev.services import tokens
from clouddev.services.access import machine_of_member
from core.api import Endpoint, json_body, query, required, success
from core.database import undone
from core.needs import Needs
from core.openapi import documented
from core.request_context import current_address
from core.schemas import validated

_LONGEST_APP = 63


class SSHKeyView(Endpoint):
    """GET /api/cloud-dev/ssh-key."""

    required_action = "workspaces.read-key"

    needs = {"GET": Needs("workspaces:write")}

    @documented(
        summary="Tell the way into a workspace by SSH",
        data=schemas.SSHAccess,
        tag=TAG,
        parameters=[APP_NAME],
        errors=[404, 409],
    )
    def get(self, request: Request) -> HttpResponse:
        """Give the private key and where to use it; for members."""
        caller = caller_of(request)
        machine = machine_of_member(person=caller, app_name=app_name_of(query(request)), action="workspaces.read-key")
        access = tokens.ssh_access(machine=machine, actor=caller, now=timezone.now())
        return success(
            schemas.SSHAccess(
                privateKey=access.private_key, linuxUser=access.linux_user, host=access.host, port=access.port
            )
        )

    def head(self, request: Request) -> HttpResponse:
        """Hand no key out, so none is in the audit trail."""
        with undone():
            return self.get(request)


class MCPTokenView(Endpoint):
    """GET /api/cloud-dev/mcp-token."""

    required_action = "workspaces.make-token"

    needs = {"GET": Needs("workspaces:write")}

    @documented(
        summary="Issue an MCP token",
        data=schemas.Token,
        tag=TAG,
        parameters=[APP_NAME],
        errors=[404, 409],
    )
    def get(self, request: Request) -> HttpResponse:
        """Sign a dev-UI token in the name of the caller's user on the workspace; for members."""
        caller = caller_of(request)
        machine = machine_of_member(person=caller, app_name=app_name_of(query(request)), action="workspaces.make-token")
        token = tokens.mcp_token(machine=machine, person=caller, actor=caller, now=timezone.now())
        return success(schemas.Token(token=token))

    def head(self, request: Request) -> HttpResponse:
        """Hand no token out, so none is kept."""
        with undone():
            return self.get(request)


class WebhookTokenView(Endpoint):
    """POST /api/cloud-dev/webhook-token."""

    required_action = "workspaces.make-token"

    needs = {"POST": Needs("workspaces:write")}

    @documented(
        summary="Issue a webhook token",
        data=schemas.WebhookToken,
        tag=TAG,
        request=schemas.AskWebhookToken,
        errors=[404, 409],
    )
    def post(self, request: Request) -> HttpResponse:
        """Sign a token for whoever calls the workspace's webhooks, for 30 days unless said otherwise; for members."""
        caller = caller_of(request)
        asked = validated(schemas.AskWebhookToken, json_body(request))
        issued = tokens.issue_webhook_token(
            machine=machine_of_member(person=caller, app_name=asked.app_name, action="workspaces.make-token"),
            person=caller,
            actor=caller,
            expires_in=asked.expires_in or tokens.USUAL_LIFETIME,
            now=timezone.now(),
        )
        return success(schemas.WebhookToken(token=issued.token, expiresAt=issued.expires_at))


class RevokedTokensView(Endpoint):
    """GET /api/cloud-dev/revoked-tokens."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @documented(
        summary="List revoked tokens of a workspace",
        data=schemas.RevokedTokens,
        tag=TAG,
        parameters=[
            OpenApiParameter("app", str, required=True, description="A workspace's name at Fly, as in the claim `app`.")
        ],
        public=True,
    )
    def get(self, request: Request) -> HttpResponse:
        """Tell which tokens of a machine were revoked before their time; may be kept for a minute."""
        name = required(query(request), "app", at_most=_LONGEST_APP)
        found = tokens.revoked_tokens(fly_name=name, address=current_address(), now=timezone.now())
        answer = success(schemas.RevokedTokens(jtis=found))
        answer["Cache-Control"] = f"public, max-age={tokens.REVOKED_KEPT_SECONDS}"
        return answer
