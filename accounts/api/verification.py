"""GET and POST /api/auth/verify: forward authentication, for proxies in front of other services."""

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from typing_extensions import TypedDict

from accounts.oauth import metadata
from accounts.principals import SCOPES, Principal
from accounts.services import forward_auth
from core.api import Endpoint, query, success
from core.errors import Malformed
from core.openapi import documented
from core.request_context import current_address

_TAG = "keys"
_PARAMETERS = [
    OpenApiParameter("scope", str, description="Scopes that the credential must have, with spaces between them."),
    OpenApiParameter("org", str, description="Id or slug of the organization that the credential must be for."),
]


class Verified(TypedDict):
    """Who was let in: the same as the headers `X-Auth-Subject`, `-Org`, `-Role` and `-Type` say."""

    subject: str
    org: str
    org_slug: str
    role: str
    type: str


class VerifyView(Endpoint):
    """GET and POST /api/auth/verify. Both ask the same: proxies choose one, or pass the client's on."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @documented(
        summary="Verify a request", data=Verified, tag=_TAG, parameters=_PARAMETERS, public=True, errors=[401, 403]
    )
    def get(self, request: Request) -> HttpResponse:
        """Tell a proxy whether to let a request through to a service beside this server, and whose it is."""
        return self._decided(request)

    @documented(
        summary="Verify a posted request",
        data=Verified,
        tag=_TAG,
        parameters=_PARAMETERS,
        public=True,
        errors=[401, 403],
    )
    def post(self, request: Request) -> HttpResponse:
        """Tell the same; the body is not looked at."""
        return self._decided(request)

    def _decided(self, request: Request) -> HttpResponse:
        decision = forward_auth.decide(
            authorization=_authorization(request),
            address=current_address(),
            now=timezone.now(),
            demand=_demand(query(request)),
        )
        response = success(_told(decision.require()))
        for name, value in decision.headers.items():
            response[name] = value
        return response

    def get_authenticate_header(self, request: Request) -> str:
        """The challenge of a 401, which proxies pass on; it says so when something was sent and is no good."""
        return metadata.challenge(invalid=bool(_authorization(request)))


def _authorization(request: Request) -> str:
    return str(request.META.get("HTTP_AUTHORIZATION", ""))


def _demand(parameters: dict[str, str]) -> forward_auth.Demand:
    """What the proxy's configuration demands. Raises Malformed for scopes that there aren't, and for a blank one.

    A parameter that is misspelt demands nothing, so all others are refused.
    """
    if unknown := parameters.keys() - {"scope", "org"}:
        raise Malformed(f"There are the parameters scope and org, and not {min(unknown)!r}.")
    if any(not value.strip() for value in parameters.values()):
        raise Malformed("scope and org: Leave out what is not demanded.")
    scopes = frozenset(parameters.get("scope", "").split())
    if not scopes <= SCOPES.keys():
        raise Malformed(f"scope: There are these scopes: {', '.join(SCOPES)}.")
    return forward_auth.Demand(scopes=scopes, organization=parameters.get("org", ""))


def _told(principal: Principal) -> Verified:
    return Verified(
        subject=str(principal.id),
        org=str(principal.organization_id),
        org_slug=principal.organization_slug,
        role=principal.role,
        type=str(principal.kind),
    )
