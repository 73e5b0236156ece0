"""The pages of sign-in, CLI approval and signed-in apps. They work without JavaScript."""

import uuid
from datetime import datetime

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.current_user import person_of
from accounts.models import CLILogin, User
from accounts.oauth import consents, logins, scopes
from accounts.oauth.apps import signed_in_apps
from accounts.services import api_keys, cli_login, tokens, users
from core.actions import requires
from core.errors import Malformed
from core.next_url import posted_from
from core.request_context import current_address, is_same_place, own_path


@login_not_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Signed-in people go to their own first page, everybody else sees what this server is."""
    if request.user.is_authenticated:
        return redirect(settings.LOGIN_REDIRECT_URL)
    context = {"next": resolve_url(settings.LOGIN_REDIRECT_URL), "github": bool(settings.GITHUB_CLIENT_ID)}
    return render(request, "accounts/welcome.html", context)


@login_not_required
@never_cache
@require_safe
def sign_in(request: HttpRequest) -> HttpResponse:
    """The sign-in page; `next` is a path of ours to come back to."""
    next_path = own_path(request.GET.get("next", "")) or resolve_url(settings.LOGIN_REDIRECT_URL)
    if request.user.is_authenticated:
        return redirect(next_path)
    return _sign_in_page(request, next_path=next_path)


def _sign_in_page(request: HttpRequest, *, next_path: str, code: str = "") -> HttpResponse:
    context = {"next": next_path, "code": code, "github": bool(settings.GITHUB_CLIENT_ID)}
    return render(request, "accounts/sign_in.html", context)


@login_not_required
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End this browser's session."""
    if request.user.is_authenticated:
        tokens.end_own_browser_session(session_key=request.session.session_key, user=request.user)
    logout(request)
    messages.info(request, "You are signed out.")
    return redirect("account_login")


@login_not_required
@require_safe
def to_sign_in(_request: HttpRequest) -> HttpResponse:
    """Where allauth would send people it doesn't let in: ours are told so at once, on the callback's own page."""
    return redirect("account_login")


@method_decorator([login_not_required, never_cache], name="dispatch")
class CLILoginView(View):
    """GET and POST /auth/cli: a person decides about a CLI's login.

    Looking at the page changes nothing, nor does coming back to it from GitHub: only the button does.
    """

    required_action = "logins.approve"

    def get(self, request: HttpRequest) -> HttpResponse:
        """The question, or what became of it."""
        code = request.GET.get("cli_code", "").strip()
        if not code:
            return render(request, "accounts/cli_login_missing.html", status=400)
        if not request.user.is_authenticated:
            return _sign_in_page(request, next_path=request.get_full_path(), code=code)
        try:
            login = cli_login.find_for_page(code=code, user=request.user, address=current_address(), now=timezone.now())
        except cli_login.NoSuchLogin:
            return render(request, "accounts/cli_login_expired.html", status=404)
        return _question(request, login)

    def post(self, request: HttpRequest) -> HttpResponse:
        """Approve or deny, or look at what was typed at `/device`."""
        typed, code = request.POST.get("typed", ""), request.POST.get("cli_code", "").strip()
        if not request.user.is_authenticated:
            return redirect(reverse("cli-login", query={"cli_code": code}) if code else reverse("device"))
        user, now, decision = request.user, timezone.now(), request.POST.get("decision", "")
        if decision not in {"approve", "deny", "look"}:
            raise Malformed("Choose Approve or Deny.")
        try:
            login = cli_login.find_for_page(code=code or typed, user=user, address=current_address(), now=now)
            if decision == "look":
                return _question(request, login, typed=typed)
            if decision == "approve":
                _approve(request, login, user, now)
            else:
                cli_login.deny(login=login, user=user, now=now)
        except cli_login.NoSuchLogin:
            return render(request, "accounts/cli_login_expired.html", status=404)
        except cli_login.NotTyped as error:
            return _question(request, login, wrong=error.sentence)
        except cli_login.AlreadyDecided:
            login.refresh_from_db()
            return _decided_page(request, login)
        return render(request, f"accounts/cli_login_{_DONE[decision]}.html", {"login": login})


_DONE = {"approve": "approved", "deny": "denied"}


def _approve(request: HttpRequest, login: CLILogin, user: User, now: datetime) -> None:
    """Approve; from another network only with the code that the tool shows."""
    if not is_same_place(login.address, current_address()):
        cli_login.require_typed(login=login, typed=request.POST.get("typed", ""))
    organization = None
    if login.client_id:
        organization = consents.chosen(request.POST.get("organization", ""), consents.organizations_of(user), user)
        if organization is None:
            raise Malformed("Choose one of your organizations.")
    cli_login.approve(login=login, user=user, now=now, organization=organization)


def _question(request: HttpRequest, login: CLILogin, *, typed: str = "", wrong: str = "") -> HttpResponse:
    """Who asks for what; or what became of it."""
    if login.state != CLILogin.State.PENDING:
        return _decided_page(request, login)
    elsewhere = not is_same_place(login.address, current_address())
    context = {
        "login": login,
        "elsewhere": elsewhere,
        "typed": typed,
        "has_to_type": elsewhere and not typed,
        "wrong": wrong,
        "meanings": scopes.spoken(login.scopes) if login.client_id else [],
        "organizations": consents.organizations_of(person_of(request)) if login.client_id else [],
    }
    return render(request, "accounts/cli_login.html", context, status=cli_login.NotTyped.status if wrong else 200)


def _decided_page(request: HttpRequest, login: CLILogin) -> HttpResponse:
    if login.state == CLILogin.State.DENIED:
        return render(request, "accounts/cli_login_denied.html", {"login": login, "before": True}, status=409)
    return render(request, "accounts/cli_login_decided.html", {"login": login}, status=409)


@requires("logins.view")
@never_cache
@require_safe
def apps(request: HttpRequest) -> HttpResponse:
    """The person's signed-in apps and browsers."""
    user = person_of(request)
    context = {
        "keys": api_keys.number_of(user_id=user.pk, now=timezone.now()),
        "apps": signed_in_apps(user=user, now=timezone.now()),
        "browsers": tokens.browser_sessions(user=user, current_key=request.session.session_key),
        "public_url": settings.PUBLIC_URL,
    }
    return render(request, "accounts/apps.html", context)


@requires("logins.end")
@posted_from("account-apps")
def revoke_app(request: HttpRequest, token_id: uuid.UUID) -> HttpResponse:
    """Revoke one app's token."""
    user = person_of(request)
    token = tokens.revoke(token_id=token_id, user_id=user.pk, by=user, now=timezone.now())
    messages.success(request, f"{token.label} is signed out.")
    return redirect("account-apps")


@requires("logins.end")
@posted_from("account-apps")
def end_login(request: HttpRequest, login_id: uuid.UUID) -> HttpResponse:
    """Sign one app out that signed in by the authorization server."""
    login = logins.end_own(login_id=login_id, user=person_of(request), now=timezone.now())
    messages.success(request, f"{login.label} is signed out.")
    return redirect("account-apps")


@requires("logins.end")
@posted_from("account-apps")
def end_browser(request: HttpRequest, session_id: int) -> HttpResponse:
    """Sign one browser out."""
    tokens.end_browser_session(session_id=session_id, user=person_of(request))
    messages.success(request, "The browser is signed out.")
    return redirect("account-apps")


@requires("account.sign-out-everywhere")
@posted_from("account-apps")
def revoke_all(request: HttpRequest) -> HttpResponse:
    """Sign every app and browser out, this one included."""
    user = person_of(request)
    users.revoke_everything(user=user, by=user, now=timezone.now())
    logout(request)
    messages.success(request, "All apps and browsers are signed out.")
    return redirect("account_login")
