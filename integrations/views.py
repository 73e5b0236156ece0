"""The page on which a person goes on to connect an account. It works without JavaScript."""

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache

from accounts.current_user import person_of
from core.error_pages import error_response
from core.middleware import page_policy
from integrations.services import connect_links

_NOT_HERE = "This link does not work here"


@method_decorator(never_cache, name="dispatch")
class ConnectView(View):
    """GET and POST /connect/: looking changes nothing, the button leads to Nango's page."""

    required_action = "connections.create"

    def get(self, request: HttpRequest) -> HttpResponse:
        """Say for whom the account will be connected, and who asked."""
        token = request.GET.get("link", "")
        try:
            asked = connect_links.find(token=token, user=person_of(request), now=timezone.now())
        except connect_links.NoSuchLink as error:
            return error_response(request, error, title=_NOT_HERE)
        context = {"asked": asked, "name": asked.name, "token": token, "server": urlsplit(settings.PUBLIC_URL).netloc}
        response = render(request, "integrations/connect.html", context)
        target = urlsplit(asked.target)
        response["Content-Security-Policy"] = page_policy(form_action=f"{target.scheme}://{target.netloc}")
        return response

    def post(self, request: HttpRequest) -> HttpResponse:
        """Go on to Nango."""
        token = request.POST.get("link", "")
        try:
            target = connect_links.follow(token=token, user=person_of(request), now=timezone.now())
        except connect_links.NoSuchLink as error:
            return error_response(request, error, title=_NOT_HERE)
        return redirect(target)
