"""The pages of cloud dev machines. They work without JavaScript."""

from typing import cast
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.models import User
from clouddev.services import tokens
from clouddev.services.access import NoSuchMachine, machine_by_fly_name
from config.core.errors import Forbidden
from config.core.pages import error_response


class NotYours(Forbidden):
    """403: there is no such machine, or the person is no member of it; the two look the same."""

    default = "You may not use this machine, or it doesn't exist. Ask its owner to add you as a member."


@never_cache
@require_GET
def dev_ui(request: HttpRequest) -> HttpResponse:
    """GET /auth/dev-ui?app=…: send a member to their machine with a token that it lets them in by.

    Where to is the machine's own address, and nothing that the request says.
    """
    person = cast("User", request.user)
    try:
        machine = machine_by_fly_name(person=person, fly_name=request.GET.get("app", ""))
    except NoSuchMachine:
        return error_response(request, NotYours(), title="Not allowed")
    token = tokens.browser_token(machine=machine, person=person, login=person.get_short_name(), now=timezone.now())
    response = HttpResponseRedirect(f"{machine.url}/dev/__auth/callback?{urlencode({'token': token})}")
    response["Referrer-Policy"] = "no-referrer"
    return response
