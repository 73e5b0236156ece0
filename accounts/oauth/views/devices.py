"""Device logins: what a tool calls, and the page where a person types its code."""

from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from oauthlib.oauth2.rfc6749.errors import OAuth2Error

from accounts.models import Login
from accounts.oauth import devices, metadata
from accounts.oauth.views.tokens import ClientView, TokenView, plain
from core.api import json_body, json_response
from core.errors import Malformed
from core.request_context import current_address

_LONGEST_USER_AGENT = 300
_LONGEST_NAME = 255


def read_json(request: HttpRequest) -> None:
    """Let a JSON body stand for the form that the RFCs have: some clients send everything as JSON."""
    if request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() != "application/json":
        return
    form = QueryDict(mutable=True)
    for name, value in json_body(request).items():
        values: list[object] = value if isinstance(value, list) else [value]
        words = [one for one in values if isinstance(one, str)]
        if len(words) < len(values):
            raise Malformed(f"{name}: Not a valid string.")
        form.setlist(name, words)
    request.POST = form  # type: ignore[assignment]  # Django sets it the same way


class DeviceStartView(ClientView):
    """POST /oauth/device/code, and /api/auth/device/code (RFC 8628, section 3.1)."""

    def post(self, request: HttpRequest) -> HttpResponse:
        """Give a code to show and one to poll with, for ten minutes."""
        read_json(request)
        try:
            client, scopes, resource = self.get_oauthlib_core().device_request(request)
        except OAuth2Error as error:
            return plain({}, error.json, error.status_code)
        hostname = request.POST.get("hostname", "").strip()[:_LONGEST_NAME]
        caller = Login(
            hostname=hostname if hostname.isprintable() else "",
            address=current_address() or None,
            user_agent=request.META.get("HTTP_USER_AGENT", "").replace("\0", "")[:_LONGEST_USER_AGENT],
        )
        started = devices.start(client=client, scopes=scopes, resource=resource, caller=caller, now=timezone.now())
        page = metadata.address("device")
        return json_response(
            {
                "device_code": started.device_code,
                "user_code": started.user_code,
                "verification_uri": page,
                "verification_uri_complete": f"{page}?user_code={started.user_code}",
                "expires_in": int(devices.LIFETIME.total_seconds()),
                "interval": devices.INTERVAL,
            }
        )


class DeviceTokenView(TokenView):
    """POST /api/auth/device/token: the token address, in JSON or as a form."""

    def post(self, request: HttpRequest) -> HttpResponse:
        """Tokens, once a person has approved."""
        read_json(request)
        return super().post(request)


@method_decorator(never_cache, name="dispatch")
class DevicePage(View):
    """GET /device: where a person types the code that a tool shows."""

    required_action = "logins.approve"

    def get(self, request: HttpRequest, *_args: Any) -> HttpResponse:
        """Ask for the code; with a link that brings it, go on to the question."""
        code = request.GET.get("user_code", "").strip()
        if code:
            return redirect(reverse("cli-login", query={"cli_code": code}))
        return render(request, "accounts/device.html")
