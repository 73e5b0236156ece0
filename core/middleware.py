"""What happens around every request, and the short way that requests of machines take.

The JSON API has no session, cookie, form or message, so its requests go from here straight to their
view: no other middleware runs for them. Pages take the ordinary way through all of it.
"""

import time
from collections.abc import Callable
from functools import lru_cache

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch, resolve

from core.actions import NoAction, action_of, authorize
from core.api import TooLarge, failure, logged_error
from core.database import drop_dead_connection
from core.error_pages import error_response, not_found
from core.errors import ApplicationError, Malformed, NotFound, Unauthenticated
from core.logs import write_access
from core.request_context import REQUEST_ID_HEADER, begin_request, end_request, is_for_machines

GetResponse = Callable[[HttpRequest], HttpResponseBase]

_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self' {github}; base-uri 'none'; frame-ancestors 'none'"
)
# Unfold evaluates Alpine.js expressions and styles its charts in place; only the admin may do that.
_ADMIN_POLICY = _PAGE_POLICY.replace("script-src 'self'", "script-src 'self' 'unsafe-eval'").replace(
    "style-src 'self'", "style-src 'self' 'unsafe-inline'"
)


def page_policy(*, form_action: str) -> str:
    """The policy of a page with a form whose answer leads to this origin: browsers hold the redirect to it as well."""
    return _PAGE_POLICY.format(github=form_action)


_MACHINE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class PlainHTTP(Malformed):
    """400: the request came unencrypted to a server that is to be reached by https only."""

    default = "Use this server's https:// address."


class RequestMiddleware:
    """Gives each request an id, checks its host, sets the security headers and writes the access log."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.page_policy = _PAGE_POLICY.format(github=settings.GITHUB_ORIGIN)
        self.admin_policy = _ADMIN_POLICY.format(github=settings.GITHUB_ORIGIN)
        self.machine_headers = dict(_MACHINE_HEADERS)
        if settings.SECURE_HSTS_SECONDS:
            self.machine_headers["Strict-Transport-Security"] = f"max-age={settings.SECURE_HSTS_SECONDS}"

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        request_id = begin_request(request)
        drop_dead_connection()
        try:
            if is_for_machines(request.path):
                response = _serve_machine(request)
                headers = self.machine_headers
            else:
                response = self._serve_page(request)
                policy = self.admin_policy if request.path.startswith("/admin/") else self.page_policy
                headers = {"Content-Security-Policy": policy}
        finally:
            end_request()
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        if not response.streaming:
            # Without it gunicorn sends the body in chunks, each in packets of its own.
            response.headers["Content-Length"] = str(len(response.content))  # type: ignore[attr-defined]  # not streaming
        response.headers[REQUEST_ID_HEADER] = request_id
        if settings.ACCESS_LOG:
            _log(request, response, time.perf_counter() - started)
        return response

    def _serve_page(self, request: HttpRequest) -> HttpResponseBase:
        try:
            request.get_host()
        except DisallowedHost as exc:
            return error_response(request, logged_error(exc), title="Unknown host")
        if "\0" in request.path:
            return error_response(request, NotFound("There is nothing at this address."), title="Page not found")
        if "%00" in request.META.get("QUERY_STRING", ""):
            # No form or link of ours has a NUL, and PostgreSQL refuses to look for one.
            return error_response(request, Malformed(), title="Bad request")
        if _announced_length(request) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            # Django counts only a form's text, so a file of any size would be read to its end.
            return error_response(request, TooLarge(), title="Too large")
        _drop_odd_cookies(request)
        response = self.get_response(request)
        if settings.DEBUG and isinstance(response, HttpResponseNotFound):
            # Django's own page for developers lists all addresses, and looks like a crash to whoever mistypes one.
            return not_found(request)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Show a page's ApplicationErrors, and a database that is away, as what they are."""
        if not isinstance(exception, ApplicationError | OperationalError | InterfaceError):
            return None
        return error_response(request, logged_error(exception))


class ActionMiddleware:
    """Decides about each page before its view runs; it comes after whatever sends strangers to sign in.

    The API's views ask for themselves (`core.api.Endpoint`).
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., object], _args: object, _kwargs: object
    ) -> HttpResponse | None:
        """Refuse what may not be done, and what names no action.

        The operators' site asks for itself, since it sends who is no operator to a page of its own.
        """
        action, match = action_of(view, request.method), request.resolver_match
        if match is not None and match.namespaces == ["admin"]:
            return None
        is_public = match is not None and match.route in settings.PUBLIC_PATHS
        if is_public and not (action and request.user.is_authenticated):
            return None
        try:
            if not request.user.is_authenticated:
                raise NoAction
            authorize(request.user, action)
        except ApplicationError as error:
            told = logged_error(error)
            return failure(told) if request.path.startswith("/api/") else error_response(request, told)
        return None


def _announced_length(request: HttpRequest) -> int:
    """Bytes of the body; one without a length is empty to Django."""
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0


def _drop_odd_cookies(request: HttpRequest) -> None:
    """Overlook cookies with a NUL: none of ours has one, and PostgreSQL refuses to look such a session up."""
    for name in [name for name, value in request.COOKIES.items() if "\0" in value]:
        del request.COOKIES[name]


def _serve_machine(request: HttpRequest) -> HttpResponseBase:
    """The view's answer, or the exception it raised as JSON. Views are closed unless they say otherwise."""
    try:
        if not request.path.startswith("/_/"):
            request.get_host()
            if settings.SECURE_SSL_REDIRECT and not request.is_secure():
                raise PlainHTTP  # noqa: TRY301 - rendered with all others below
        match = _match(request.path_info)
        request.resolver_match = match
        if getattr(match.func, "login_required", True):
            raise Unauthenticated  # noqa: TRY301 - the same
        response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
    except Exception as exc:  # noqa: BLE001 - whatever it is, machines get JSON
        return failure(logged_error(exc))
    return response


@lru_cache(maxsize=2048)
def _match(path: str) -> ResolverMatch:
    """The view for a path. Walking the address tables costs more than most views do."""
    return resolve(path)


def _log(request: HttpRequest, response: HttpResponseBase, seconds: float) -> None:
    """One line for the request, with its path alone: queries carry the codes and secrets of logins."""
    write_access(
        method=request.method or "",
        path=request.path,
        status=response.status_code,
        milliseconds=round(seconds * 1000, 2),
    )
