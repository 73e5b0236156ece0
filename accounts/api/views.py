"""The login API of the command-line tool."""

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from accounts.api import schemas
from accounts.current_user import caller_of
from accounts.models.tokens import CLILogin
from accounts.services import cli_login, tokens
from core.api import Endpoint, json_body, query, required, success
from core.database import undone
from core.needs import Needs
from core.openapi import documented
from core.request_context import current_address
from core.schemas import validated

_LONGEST_USER_AGENT = 300
# Longer than ours, so that a wrong one is told from a malformed one.
_LONGEST_CODE = 64
_LONGEST_SECRET = 128


class StartView(Endpoint):
    """POST /api/auth/cli/session."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @documented(summary="Start a CLI login", data=schemas.Started, tag="login", request=schemas.Start, public=True)
    def post(self, request: Request) -> HttpResponse:
        """Give a code to show and a secret to poll with; both are valid for five minutes."""
        asked = validated(schemas.Start, json_body(request))
        client = CLILogin(
            client_name=asked.client_name,
            hostname=asked.hostname,
            address=current_address(),
            user_agent=request.META.get("HTTP_USER_AGENT", "").replace("\0", "")[:_LONGEST_USER_AGENT],
        )
        started = cli_login.start(client=client, now=timezone.now(), code_challenge=asked.code_challenge)
        return success(schemas.Started(code=started.code, secret=started.secret))


class CheckView(Endpoint):
    """GET /api/auth/cli/check."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @documented(
        summary="Poll a CLI login",
        data=schemas.Status,
        tag="login",
        parameters=[
            OpenApiParameter("code", str, required=True),
            OpenApiParameter("secret", str, required=True),
            OpenApiParameter("code_verifier", str),
        ],
        errors=[403],
        public=True,
    )
    def get(self, request: Request) -> HttpResponse:
        """Tell what became of the login; the token comes with `approved`, until the login is over.

        One poll hears `denied`; the login is `expired` then.
        """
        asked = query(request)
        status = cli_login.check(
            code=required(asked, "code", at_most=_LONGEST_CODE),
            secret=required(asked, "secret", at_most=_LONGEST_SECRET),
            code_verifier=asked.get("code_verifier", "")[:_LONGEST_SECRET],
            address=current_address(),
            now=timezone.now(),
        )
        answer = schemas.Status(status=status.status)
        if status.token:
            answer["token"] = status.token
        return success(answer)

    def head(self, request: Request) -> HttpResponse:
        """Collect no token and tell no denial: whoever asks so reads neither, and the tool's next poll does."""
        with undone():
            return self.get(request)


class LogoutView(Endpoint):
    """POST /api/auth/logout."""

    required_action = "session.end"

    needs = {"POST": Needs(None)}

    @documented(summary="Log out", data=schemas.Revoked, tag="login")
    def post(self, request: Request) -> HttpResponse:
        """Revoke the token that the request carries. A body says nothing, but it has to be JSON."""
        json_body(request)
        tokens.log_out(caller=caller_of(request), now=timezone.now())
        return success(schemas.Revoked(status="revoked"))
