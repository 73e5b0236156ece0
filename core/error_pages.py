"""Error pages. Machines get the same errors as JSON from the middleware."""

import sys

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.sessions.exceptions import SessionInterrupted
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import REASON_NO_CSRF_COOKIE
from django.shortcuts import render
from django.template.loader import render_to_string

from core.api import as_application_error
from core.errors import ApplicationError, Forbidden, Malformed, NotFound
from core.next_url import is_from_htmx, page_of, page_of_form, sign_in_address, to_sign_in

_NO_ORIGIN = (
    "Your browser hides which site this form was on (`Origin: null`), as privacy extensions, a `no-referrer` policy "
    "and sandboxed frames make it do. Allow it for this site, or open the page in a window of its own, and try again."
)

# How Django begins the other reasons that don't speak of another site.
_ABOUT_THE_TOKEN = "CSRF token "  # noqa: S105 - a reason
_TOO_OLD = "This form was too old, and nothing was done. Try again."


def error_response(
    request: HttpRequest, error: ApplicationError, *, title: str = "", sign_in: str = "", page: str = ""
) -> HttpResponse:
    """The error as a page, with a way on: the address to sign in at again, or the page to load again."""
    context = {"error": error, "title": title, "sign_in": sign_in, "page": page}
    if error.status >= ApplicationError.status:
        # A page about our own trouble asks for nobody: finding out who is signed in needs the database.
        response = HttpResponse(render_to_string("error.html", context), status=error.status)
    else:
        response = render(request, "error.html", context, status=error.status)
    if error.retry_after is not None:
        response["Retry-After"] = str(error.retry_after)
    return response


@login_not_required
def not_found(request: HttpRequest, exception: object = None) -> HttpResponse:  # noqa: ARG001 - Django's signature
    """404."""
    return error_response(request, NotFound("There is nothing at this address."), title="Page not found")


@login_not_required
def forbidden(request: HttpRequest, exception: object = None) -> HttpResponse:  # noqa: ARG001
    """403."""
    return error_response(request, Forbidden(), title="Not allowed")


@login_not_required
def bad_request(request: HttpRequest, exception: object = None) -> HttpResponse:
    """400; among others for a Host header that is not ours, so nothing here asks for the host."""
    if isinstance(exception, SessionInterrupted):
        error = Malformed("You were signed out while this page was on its way. Sign in again.")
        return error_response(request, error, title="Signed out", sign_in=sign_in_address(page_of(request)))
    return error_response(request, Malformed(), title="Bad request")


@login_not_required
def crashed(request: HttpRequest) -> HttpResponse:
    """500, or what the exception that is being handled means: 503 while the database is away."""
    exception = sys.exception()
    error = as_application_error(exception) if isinstance(exception, Exception) else ApplicationError()
    return error_response(request, error)


@login_not_required
def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403: a form came back without its token, or from a browser that does not say whose page it was on.

    Signing in makes the tokens of all forms new. Whoever isn't signed in and has to be is sent to sign in instead, as
    with a token that is right: nothing is done by that, and the form's page comes afterwards.
    """
    if request.META.get("HTTP_ORIGIN") == "null":
        return error_response(request, Forbidden(_NO_ORIGIN), title="Please try again")
    view = request.resolver_match.func if request.resolver_match else None
    is_of_ours = reason == REASON_NO_CSRF_COOKIE or reason.startswith(_ABOUT_THE_TOKEN)
    if is_of_ours and getattr(view, "login_required", True) and not request.user.is_authenticated:
        return to_sign_in(request, str(getattr(view, "login_url", None) or settings.LOGIN_URL))
    error = Forbidden("This form is too old or came from another site. Go back, reload the page and try again.")
    page = page_of_form(request, closed=False)
    if is_from_htmx(request):
        messages.error(request, _TOO_OLD)
        return HttpResponse(status=error.status, headers={"HX-Redirect": page})
    return error_response(request, error, title="Please try again", page=page)
