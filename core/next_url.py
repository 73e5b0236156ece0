"""Where people come back to after they had to sign in: pages, never an address that only takes forms."""

from collections.abc import Callable
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import resolve_url
from django.urls import Resolver404, ResolverMatch, resolve, reverse
from django.views.decorators.http import require_POST

from core.request_context import is_for_machines, own_path

_View = Callable[..., HttpResponse]
_SAFE_METHODS = frozenset({"GET", "HEAD"})
_LONGEST_REFERER = 2000
_NOT_KEPT = "You were signed out before this form arrived, so nothing was changed. Sign in, and send it again."


def posted_from(page: str, *names: str) -> Callable[[_View], _View]:
    """A view that only takes forms; the page called `page` has them, and `names` are the view's arguments it takes."""

    def decorate(view: _View) -> _View:
        only_posted = require_POST(view)
        only_posted.posted_from = (page, names)  # type: ignore[attr-defined]  # read by `_page_of`
        return only_posted

    return decorate


class ReturningMiddleware(LoginRequiredMiddleware):
    """Django's, but a form that came after its session had ended leads back to its page: as a GET it is nothing."""

    def handle_no_permission(  # type: ignore[override]  # for scripts it is no redirect
        self, request: HttpRequest, view_func: Callable[..., HttpResponseBase]
    ) -> HttpResponse:
        """Send the browser to sign in, and tell where it goes on to."""
        if request.method in _SAFE_METHODS and not is_from_htmx(request):
            return super().handle_no_permission(request, view_func)
        return to_sign_in(request, self.get_login_url(view_func))


def to_sign_in(request: HttpRequest, login_url: str) -> HttpResponse:
    """Where a form leads that came after its session had ended: to sign in, and from there to the form's page."""
    waiting = messages.get_messages(request)
    if request.method not in _SAFE_METHODS and not len(waiting):
        # Once: a stranger may send many, and what is said waits in a cookie.
        messages.warning(request, _NOT_KEPT)
    response = redirect_to_login(page_of_form(request), login_url)
    if is_from_htmx(request):
        # A redirect would be followed behind the page, which would get the sign-in page into its dialog.
        return HttpResponse(headers={"HX-Redirect": response["Location"]})
    return response


def is_from_htmx(request: HttpRequest) -> bool:
    """Whether a script of the operators' pages asks, for a part of a page."""
    return "HX-Request" in request.headers


def sign_in_address(page: str = "") -> str:
    """The address of the sign-in page, which leads to this page of ours afterwards."""
    return reverse(settings.LOGIN_URL, query={REDIRECT_FIELD_NAME: page} if page else None)


def page_of(request: HttpRequest) -> str:
    """The page to come back to from here after signing in: itself, or the one whose form came; "" for one for all."""
    match = request.resolver_match
    if match is None or not getattr(match.func, "login_required", True):
        return ""
    return request.get_full_path() if request.method in _SAFE_METHODS else page_of_form(request)


def page_of_form(request: HttpRequest, *, closed: bool = True) -> str:
    """The path of the page that the form was on: what the browser says, if it is a page of ours, else what we know.

    With `closed` only of one that asks for somebody signed in.
    """
    referer = request.META.get("HTTP_REFERER", "")
    if len(referer) <= _LONGEST_REFERER and referer.startswith(f"{request.scheme}://{request.get_host()}/"):
        # Split off by hand: a path with two slashes at its beginning would be another host's.
        path = own_path(referer.removeprefix(f"{request.scheme}://{request.get_host()}").partition("#")[0])
        match = _match(urlsplit(path).path) if path else None
        is_closed = match is not None and getattr(match.func, "login_required", True)
        if match and is_closed >= closed and not hasattr(match.func, "posted_from"):
            return path
    return _page_of(request.resolver_match) or request.get_full_path()


def _match(path: str) -> ResolverMatch | None:
    if is_for_machines(path):
        return None
    try:
        return resolve(path)
    except Resolver404:
        return None


def _page_of(match: ResolverMatch | None) -> str:
    if match is None:
        return resolve_url(settings.LOGIN_REDIRECT_URL)
    page, names = getattr(match.func, "posted_from", ("", ()))
    return reverse(page, kwargs={name: match.kwargs[name] for name in names}) if page else ""
