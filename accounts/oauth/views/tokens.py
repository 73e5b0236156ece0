"""What clients call: for tokens, to end them, to ask what one is, and who somebody is.

Forms in and plain JSON out, as the RFCs have it, for programs; so none of this goes through sessions or CSRF.
"""

from typing import Any, NotRequired, cast

from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views import View
from oauth2_provider.views.mixins import OAuthLibMixin
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from typing_extensions import TypedDict

from accounts.models import User
from accounts.oauth import access_tokens, identity, introspection, metadata, resources
from accounts.principals import Principal
from core.api import Endpoint, NoSuchMethod, json_response
from core.errors import Forbidden, Unauthenticated
from core.needs import Needs
from core.network_limits import NetworkLimit
from core.openapi import documented
from core.request_context import current_address, note_caller

# A team behind one address refreshes a token each every five minutes; wrong ones are guesses at 256 bits.
REQUESTS = NetworkLimit("oauth-requests", 600, "minute")


class NotAskedFor(Forbidden):
    """403: the token was not asked for to know who somebody is."""

    default = "This token does not have the scope `openid`, so it does not say who you are."


class Userinfo(TypedDict):
    """Who somebody is, as far as the scopes go."""

    sub: str
    name: NotRequired[str]
    preferred_username: NotRequired[str]
    email: NotRequired[str]
    email_verified: NotRequired[bool]


@method_decorator(login_not_required, name="dispatch")
class ClientView(OAuthLibMixin, View):  # type: ignore[misc]  # the toolkit is untyped
    """Base of what clients POST forms to."""

    http_method_names = ("post",)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Count the request; whatever is decided about it is stored as a whole."""
        REQUESTS.spend(current_address())
        with transaction.atomic():
            return super().dispatch(request, *args, **kwargs)

    def http_method_not_allowed(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponse:  # noqa: ARG002 - Django's signature
        """Only POST: what is sent is secret."""
        raise NoSuchMethod(allowed=["POST"])


def plain(headers: dict[str, str], body: str, status: int) -> HttpResponse:
    """The toolkit's answer, which nobody may keep."""
    response = HttpResponse(body or "", status=status, content_type="application/json")
    for name, value in headers.items():
        response[name] = value
    response["Cache-Control"] = "no-store"
    if status == Unauthenticated.status and not response.has_header("WWW-Authenticate"):
        response["WWW-Authenticate"] = 'Basic realm="crayon"'
    return response


class TokenView(ClientView):
    """POST /oauth/token (RFC 6749, section 3.2)."""

    def post(self, request: HttpRequest) -> HttpResponse:
        """Tokens for a code or a refresh token."""
        _location, headers, body, status = self.create_token_response(request)
        return plain(headers, body, status)


class RevocationView(ClientView):
    """POST /oauth/revoke (RFC 7009)."""

    def post(self, request: HttpRequest) -> HttpResponse:
        """End the login to which a token belongs; 200 also where there is none."""
        _location, headers, body, status = self.create_revocation_response(request)
        return plain(headers, body, status)


class IntrospectionView(ClientView):
    """POST /oauth/introspect (RFC 7662)."""

    def post(self, request: HttpRequest) -> HttpResponse:
        """Tell a service that an operator has set up what it was brought.

        A client that registered itself would ask about tokens that it found.
        """
        client = self.get_oauthlib_core().client_of(request)
        if client is None or not client.is_verified:
            return plain({}, '{"error": "invalid_client"}', Unauthenticated.status)
        token = request.POST.get("token", "")
        if not token:
            return plain({}, '{"error": "invalid_request", "error_description": "token is missing."}', 400)
        return json_response(introspection.introspect(token, now=timezone.now()))


class AccessTokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer` with a token of ours that others verify, and no other kind."""

    def authenticate(self, request: Request) -> tuple[Principal, access_tokens.Verified] | None:
        """Who holds it, and what it says."""
        scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return None
        now, audiences = timezone.now(), resources.audiences()
        who = access_tokens.principal_of_jwt(token.strip(), now=now, audiences=audiences)
        note_caller(who.id)
        return who, access_tokens.verify(token.strip(), audiences=audiences, now=now)

    def authenticate_header(self, request: Request) -> str:
        """The challenge, with where to read who issues tokens (RFC 9728, section 5.1)."""
        return metadata.challenge(invalid="HTTP_AUTHORIZATION" in request.META)


class UserinfoView(Endpoint):
    """GET and POST /oauth/userinfo (OpenID Connect Core, section 5.3)."""

    required_action = "session.userinfo"

    authentication_classes = (AccessTokenAuthentication,)
    # What it tells is a matter of OpenID's scopes.
    needs = {"GET": Needs(None), "POST": Needs(None)}

    @documented(summary="Tell who signed in", data=Userinfo, tag="tokens", enveloped=False)
    def get(self, request: Request) -> HttpResponse:
        """Tell the client what the person let it know."""
        said = cast("access_tokens.Verified", request.auth)
        scopes = str(said.claims.get("scope", "openid profile email")).split()
        if "openid" not in scopes:
            raise NotAskedFor
        return json_response(identity.claims_of(User.objects.get(pk=cast("Principal", request.user).id), scopes=scopes))

    @documented(summary="Tell who signed in, by POST", data=Userinfo, tag="tokens", enveloped=False)
    def post(self, request: Request) -> HttpResponse:
        """Do the same."""
        return self.get(request)
