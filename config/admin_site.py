"""The operators' site: who enters, which tables it has, and its front page."""

from typing import Any, cast

from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, URLResolver, path
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from unfold.sites import UnfoldAdminSite

from config.public_paths import PUBLIC_PATHS
from core.actions import Required, action_of, authorize, is_allowed
from core.error_pages import error_response
from core.errors import Forbidden
from core.request_context import own_path

# What the site's own addresses do besides being looked at.
_ACTIONS: dict[str, Required] = {
    "explain": {"GET": "admin.explain"},
    "logout": "session.end",
    "password_change": {"GET": "admin.view", "POST": "admin.change-own-password"},
}


class NotAnOperator(Forbidden):
    """403: signed in, but not as an operator."""

    default = "These pages are for the operators of this server, and you are not one of them. Nothing was changed."


class OperatorSite(UnfoldAdminSite):  # type: ignore[misc]  # unfold is untyped
    """Django's admin with our rules."""

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Django's addresses but for "view on site": nothing here has a page of its own, and it trips over odd ids."""
        addresses: list[URLPattern | URLResolver] = super().get_urls()
        for address in addresses:
            if getattr(address, "name", "") == "logout":
                # Without a session there is nothing to end, and no page at its address.
                address.callback.posted_from = ("admin:index", ())  # type: ignore[union-attr]  # read in `next_url`
        addresses = [path("explain/", self.admin_view(self.explain), name="explain"), *addresses]
        for address in addresses:
            if isinstance(address, URLPattern) and f"admin/{address.pattern}" not in PUBLIC_PATHS:
                view = cast("Any", address.callback)
                view.required_action = _ACTIONS.get(str(address.name), {"GET": "admin.view"})
        return [address for address in addresses if getattr(address, "name", "") != "view_on_site"]

    def explain(self, request: HttpRequest) -> HttpResponse:
        """Who may do what, and why."""
        from accounts.admin.explain import explain_page  # noqa: PLC0415 - needs the app registry

        return explain_page(request, self)

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Take only tables whose page was written for this site.

        Libraries register pages of their own that show session keys and tokens; those stay out,
        whatever is installed later.
        """
        from core.admin import OperatorAdmin  # noqa: PLC0415 - needs the app registry

        if admin_class is not None and issubclass(admin_class, OperatorAdmin):
            super().register(model_or_iterable, admin_class, **options)

    @method_decorator(never_cache)
    @login_not_required
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        """Ask for GitHub or a password. People who are signed in and no operators are told so (403)."""
        if request.user.is_authenticated and not self.has_permission(request):
            return error_response(request, NotAnOperator(), title="For operators only")
        if request.method in {"GET", "HEAD"} and request.user.is_authenticated:
            # Django would do so for GET alone, and to the front page.
            return redirect(own_path(request.GET.get(REDIRECT_FIELD_NAME, "")) or "admin:index")
        context = {"github": bool(settings.GITHUB_CLIENT_ID), **(extra_context or {})}
        response: HttpResponseBase = super().login(request, context)
        return response

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """End this browser's session, with its audit row. Looking at the address (GET) ends nothing."""
        from accounts.services.tokens import end_own_browser_session  # noqa: PLC0415 - needs the app registry

        if request.method == "POST" and request.user.is_authenticated:
            end_own_browser_session(session_key=request.session.session_key, user=request.user)
        response: HttpResponse = super().logout(request, extra_context)
        return response

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """An operator's own password, with its audit row."""
        from accounts.services.operators import auditing_password_of  # noqa: PLC0415 - needs the app registry

        with auditing_password_of(user_id=request.user.pk, by=request.user):  # type: ignore[arg-type]  # signed in
            response: HttpResponse = super().password_change(request, extra_context)
        return response

    def has_permission(self, request: HttpRequest) -> bool:
        """Those who may see these pages; the others are sent to their sign-in. Asked before each of them.

        Raises Forbidden for who may see them and not do what this address does.
        """
        if not (request.user.is_authenticated and is_allowed(request.user, "admin.view")):
            return False
        match = request.resolver_match
        if match is not None and match.route not in PUBLIC_PATHS:
            authorize(request.user, action_of(match.func, request.method))
        return True


def front_page(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001 - unfold's signature
    """Add each app's figures to the front page's context."""
    import accounts.dashboard as accounts  # noqa: PLC0415 - needs the app registry
    import clouddev.dashboard as clouddev  # noqa: PLC0415
    import deployments.dashboard as deployments  # noqa: PLC0415
    import integrations.dashboard as integrations  # noqa: PLC0415

    now = timezone.now()
    return {
        **context,
        "title": "Today",
        "figures": [
            *accounts.figures(now=now),
            *integrations.figures(now=now),
            *deployments.figures(now=now),
            *clouddev.figures(now=now),
        ],
        "charts": {
            "CLI logins by day": accounts.logins_by_day(now=now),
            "Builds by day": deployments.builds_by_day(now=now),
            "Workspaces by day": clouddev.machines_by_day(now=now),
            "Workspaces by state": clouddev.machines_by_state(now=now),
        },
        "events": accounts.latest_events(),
        "troubled": integrations.troubled_connections(now=now),
    }
