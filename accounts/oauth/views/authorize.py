"""GET and POST /oauth/authorize: a person lets a client in, or not (RFC 6749, section 3.1)."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from oauth2_provider.exceptions import FatalClientError, OAuthToolkitError
from oauth2_provider.http import OAuth2ResponseRedirect
from oauth2_provider.views.mixins import OAuthLibMixin
from oauthlib.common import add_params_to_uri
from oauthlib.oauth2.rfc6749.errors import OAuth2Error
from oauthlib.openid.connect.core.exceptions import ConsentRequired, LoginRequired

from accounts.current_user import person_of
from accounts.models import OAuthClient
from accounts.models.oauth import LOOPBACK_HOSTS
from accounts.models.organizations import Organization
from accounts.oauth import consents, scopes
from core.error_pages import error_response
from core.errors import Malformed
from core.middleware import page_policy
from core.network_limits import NetworkLimit
from core.rate_limits import RateLimit
from core.request_context import current_address

LOOKS = NetworkLimit("oauth-authorize", 120, "minute")
ANSWERS = RateLimit("oauth-answers", "60/minute")

_UNUSABLE = (
    "This sign-in request can't be answered: the application that sent you here is not known to this server, or asks "
    "to be answered at an address that it has not registered. Nothing was signed in."
)


@method_decorator([login_not_required, never_cache], name="dispatch")
class AuthorizeView(OAuthLibMixin, View):  # type: ignore[misc]  # the toolkit is untyped
    """Looking changes nothing, but where the same was agreed to before. The form has the page's own address."""

    required_action = "logins.approve"

    def get(self, request: HttpRequest) -> HttpResponse:
        """Ask, unless there is nothing to ask."""
        LOOKS.spend(current_address())
        try:
            wanted, asked = self.validate_authorization_request(request)
        except OAuthToolkitError as error:
            return self._refusal(request, error)
        silent = request.GET.get("prompt", "").split() == ["none"]
        if not request.user.is_authenticated:
            if silent:
                return self._error(LoginRequired(state=asked.get("state")), asked)
            return redirect_to_login(request.get_full_path(), resolve_url(settings.LOGIN_URL))
        user, client = person_of(request), _client_of(asked)
        organizations = consents.organizations_of(user)
        organization = consents.chosen(request.GET.get("organization", ""), organizations, user)
        known = organization is not None and consents.is_given(
            user=user,
            client=client,
            organization=organization,
            scopes=wanted,
            resource=asked["resource"],
            redirect_uri=asked["redirect_uri"],
        )
        if organization is not None and known and "consent" not in request.GET.get("prompt", "").split():
            return self._allow(request, wanted, asked, organization)
        if silent:
            return self._error(ConsentRequired(state=asked.get("state")), asked)
        return _page(request, wanted, asked, organizations, organization)

    def post(self, request: HttpRequest) -> HttpResponse:
        """Allow or deny."""
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path(), resolve_url(settings.LOGIN_URL))
        user = person_of(request)
        ANSWERS.spend(str(user.pk))
        try:
            wanted, asked = self.validate_authorization_request(request)
            if request.POST.get("decision") == "deny":
                self.create_authorization_response(request, " ".join(wanted), asked, allow=False)
        except OAuthToolkitError as error:
            return self._refusal(request, error)
        organization = consents.chosen(request.POST.get("organization", ""), consents.organizations_of(user), user)
        if request.POST.get("decision") != "allow" or organization is None:
            raise Malformed("Choose Allow or Deny.")
        consents.remember(
            user=user,
            client=_client_of(asked),
            organization=organization,
            scopes=wanted,
            resource=asked["resource"],
            now=timezone.now(),
        )
        return self._allow(request, wanted, asked, organization)

    def _allow(
        self, request: HttpRequest, wanted: list[str], asked: dict[str, Any], organization: Organization
    ) -> HttpResponse:
        asked["organization"] = organization
        try:
            location, *_ = self.create_authorization_response(request, " ".join(wanted), asked, allow=True)
        except OAuthToolkitError as error:
            return self._refusal(request, error)
        return _send_to(location, asked["redirect_uri"])

    def _refusal(self, request: HttpRequest, error: OAuthToolkitError) -> HttpResponse:
        """Send the person back with the error, unless whoever asks is not who they say."""
        problem = error.oauthlib_error
        if isinstance(error, FatalClientError) or not getattr(problem, "redirect_uri", None):
            return error_response(request, Malformed(_UNUSABLE), title="This request can't be answered")
        return self._error(problem, {"redirect_uri": problem.redirect_uri})

    def _error(self, problem: OAuth2Error, asked: dict[str, Any]) -> HttpResponse:
        """With who answers (RFC 9207), as a code would have it."""
        told = [*problem.twotuples, ("iss", settings.PUBLIC_URL)]
        return _send_to(add_params_to_uri(asked["redirect_uri"], told), asked["redirect_uri"])


def _client_of(asked: dict[str, Any]) -> OAuthClient:
    client: OAuthClient = asked["request"].client
    return client


def _page(
    request: HttpRequest,
    wanted: list[str],
    asked: dict[str, Any],
    organizations: list[tuple[Organization, str]],
    organization: Organization | None,
) -> HttpResponse:
    client = _client_of(asked)
    parts = urlsplit(asked["redirect_uri"])
    context = {
        "client": client,
        "host": parts.hostname if parts.scheme == "https" else "",
        "on_this_computer": parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS,
        "app_scheme": parts.scheme if parts.scheme not in {"http", "https"} else "",
        "meanings": scopes.spoken(wanted),
        "may_all": "orgs:admin" in wanted,
        "resources": asked["resource"],
        "organizations": organizations,
        "organization": organization,
    }
    response = render(request, "accounts/authorize.html", context)
    response["Content-Security-Policy"] = page_policy(form_action=_origin(asked["redirect_uri"]))
    return response


def _origin(address: str) -> str:
    """What a policy calls the place that an answer leads to."""
    parts = urlsplit(address)
    if parts.scheme in {"http", "https"} and ":" not in (parts.hostname or ""):
        return f"{parts.scheme}://{parts.netloc}"
    return f"{parts.scheme}:"


def _send_to(location: str, redirect_uri: str) -> HttpResponse:
    response: HttpResponse = OAuth2ResponseRedirect(location, [urlsplit(redirect_uri).scheme])
    return response
