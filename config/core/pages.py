"""Error pages. Machines get the same errors as JSON from the middleware."""

import sys

from django.contrib.auth.decorators import login_not_required
from django.contrib.sessions.exceptions import SessionInterrupted
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from config.core.api import as_application_error
from config.core.errors import ApplicationError, Forbidden, Malformed, NotFound
from config.core.returning import page_of, sign_in_address

_NO_ORIGIN = (
    "Your browser hides which site this form was on (`Origin: null`), as privacy extensions, a `no-referrer` policy "
    "and sandboxed frames make it do. Allow it for this site, or open the page in a window of its own, and try again."
)


def error_response(
    request: HttpRequest, error: ApplicationError, *, title: str = "", sign_in: str = ""
) -> HttpResponse:
    """The error as a page; `sign_in` is an address where signing in again gets one further."""
    context = {"error": error, "title": title, "sign_in": sign_in}
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
def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001
    """403: a form came back without its token, or from a browser that does not say whose page it was on."""
    if request.META.get("HTTP_ORIGIN") == "null":
        return error_response(request, Forbidden(_NO_ORIGIN), title="Please try again")
    error = Forbidden("This form is too old or came from another site. Go back, reload the page and try again.")
    return error_response(request, error, title="Please try again")
