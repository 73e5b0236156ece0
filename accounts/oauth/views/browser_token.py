"""What a browser that is signed in gets to show to other services."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.current_user import organization_of, person_of
from accounts.models.logins import Login
from accounts.oauth import logins
from core.actions import requires
from core.api import failure, json_response, logged_error
from core.database import undone
from core.request_context import current_address

_LONGEST_USER_AGENT = 300


@requires("session.token")
@login_not_required
@require_safe
def browser_token(request: HttpRequest) -> HttpResponse:
    """GET /api/auth/token: a token of five minutes for whoever is signed in in this browser."""
    try:
        if request.method == "HEAD":
            with undone():
                return _answer(request)
        return _answer(request)
    except Exception as error:  # noqa: BLE001 - a script asks, so whatever it is becomes JSON
        response = failure(logged_error(error))
        if response.status_code == logins.NotSignedIn.status:
            response["WWW-Authenticate"] = 'Bearer realm="crayon"'
        return response


def _answer(request: HttpRequest) -> HttpResponse:
    if not request.user.is_authenticated:
        raise logins.NotSignedIn
    user = person_of(request)
    client = Login(
        address=current_address(),
        user_agent=request.META.get("HTTP_USER_AGENT", "").replace("\0", "")[:_LONGEST_USER_AGENT],
    )
    token = logins.token_of_browser(
        user=user,
        organization=organization_of(request),
        session_key=request.session.session_key,
        client=client,
        now=timezone.now(),
    )
    return json_response({"token": token})
