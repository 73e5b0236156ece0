"""What happens around every request, and the browser's middleware, which the JSON API goes without.

The API has no session, cookie or form, so its routes skip the layers that serve those. A page that
must live under /api/ for the sake of an existing address is named in PAGES_UNDER_API.
"""

import logging
import time
from collections.abc import Callable

from allauth.usersessions.middleware import UserSessionsMiddleware
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware, LoginRequiredMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware

from config.core.api import as_application_error
from config.core.errors import ApplicationError, Unauthenticated
from config.core.pages import error_response
from config.core.requests import REQUEST_ID_HEADER, begin_request, current_address, is_for_machines

logger = logging.getLogger("crayon.access")

GetResponse = Callable[[HttpRequest], HttpResponseBase]

_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self' {github}; base-uri 'none'; frame-ancestors 'none'"
)
# Unfold evaluates Alpine.js expressions and styles its charts in place; only the admin may do that.
_ADMIN_POLICY = _PAGE_POLICY.replace("script-src 'self'", "script-src 'self' 'unsafe-eval'").replace(
    "style-src 'self'", "style-src 'self' 'unsafe-inline'"
)
_MACHINE_POLICY = "default-src 'none'; frame-ancestors 'none'"


class RequestMiddleware:
    """Gives each request an id, checks its host, sets the security headers and writes the access log."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.page_policy = _PAGE_POLICY.format(github=settings.GITHUB_ORIGIN)
        self.admin_policy = _ADMIN_POLICY.format(github=settings.GITHUB_ORIGIN)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        request_id = begin_request(request)
        if not request.path.startswith("/_/"):
            request.get_host()
        response = self.get_response(request)
        response[REQUEST_ID_HEADER] = request_id
        response.setdefault("Content-Security-Policy", self._policy(request.path))
        if settings.ACCESS_LOG:
            _log(request, response, time.perf_counter() - started)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Show a page's ApplicationErrors, and a database that is away, as what they are."""
        if not isinstance(exception, ApplicationError | OperationalError | InterfaceError):
            return None
        error = as_application_error(exception)
        if error.status >= ApplicationError.status:
            logger.warning("answering %s", error.status, exc_info=exception)
        return error_response(request, error)

    def _policy(self, path: str) -> str:
        if is_for_machines(path):
            return _MACHINE_POLICY
        return self.admin_policy if path.startswith("/admin/") else self.page_policy


def _log(request: HttpRequest, response: HttpResponseBase, seconds: float) -> None:
    # The path alone: queries carry the codes and secrets of logins.
    logger.info(
        "%s %s %s",
        request.method,
        request.path,
        response.status_code,
        extra={"milliseconds": round(seconds * 1000, 2), "address": current_address()},
    )


class PageSessionMiddleware(SessionMiddleware):
    """Sessions, for pages."""

    def process_request(self, request: HttpRequest) -> None:
        if not is_for_machines(request.path):
            super().process_request(request)

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        return super().process_response(request, response) if hasattr(request, "session") else response


class PageCsrfMiddleware(CsrfViewMiddleware):
    """Protection against forged forms, for pages; the API takes no cookie that could be misused."""

    def process_request(self, request: HttpRequest) -> None:
        if not is_for_machines(request.path):
            super().process_request(request)

    def process_view(  # type: ignore[no-untyped-def]  # Django's own signature
        self, request, callback, callback_args, callback_kwargs
    ):
        if is_for_machines(request.path):
            return None
        return super().process_view(request, callback, callback_args, callback_kwargs)


class PageAuthenticationMiddleware(AuthenticationMiddleware):
    """The signed-in person, for pages."""

    def process_request(self, request: HttpRequest) -> None:
        if not is_for_machines(request.path):
            super().process_request(request)


class PageLoginRequiredMiddleware(LoginRequiredMiddleware):
    """Closes every view that doesn't say otherwise: pages lead to sign-in, machines get a 401.

    DRF's views say otherwise, since they ask for a caller themselves.
    """

    def process_view(  # type: ignore[no-untyped-def]  # Django's own signature
        self, request, view_func, view_args, view_kwargs
    ):
        if not getattr(view_func, "login_required", True):
            return None
        if is_for_machines(request.path):
            return error_response(request, Unauthenticated())
        return super().process_view(request, view_func, view_args, view_kwargs)


class PageMessageMiddleware(MessageMiddleware):
    """One-time notices, for pages."""

    def process_request(self, request: HttpRequest) -> None:
        if not is_for_machines(request.path):
            super().process_request(request)


class PageUserSessionsMiddleware(UserSessionsMiddleware):  # type: ignore[misc]  # allauth is untyped
    """When a browser was last seen, for pages."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        serve = self.get_response if is_for_machines(request.path) else super().__call__
        response: HttpResponseBase = serve(request)
        return response
