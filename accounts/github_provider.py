"""GitHub as allauth's provider: hosts from settings, and a profile that is read strictly.

https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from allauth.socialaccount.internal.statekit import get_states
from allauth.socialaccount.models import SocialLogin, SocialToken
from allauth.socialaccount.providers.base import AuthProcess, ProviderException
from allauth.socialaccount.providers.github.views import GitHubOAuth2Adapter
from allauth.socialaccount.providers.oauth2.client import OAuth2Client, OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse

from accounts.allauth_adapters import (
    LAST_SIGN_IN,
    LastingRefusal,
    SignInRefused,
    SignInTwice,
    WrongCallback,
    WrongGitHubSettings,
    not_signed_in,
    refusal_of,
    way_back,
)
from core.errors import Unavailable
from core.http_client import Response, Service, ServiceFailed, ServiceTimeout
from core.request_context import own_path

_OK = 200
# For all calls of one sign-in together.
_SECONDS = 10.0
_LONGEST_ANSWER_BYTES = 1 << 20
_PAGE = 100
_MOST_PAGES = 10
_SCOPES_THAT_SHOW = frozenset({"user", "read:org", "write:org", "admin:org"})
_TOKEN_PATH = "/login/oauth/access_token"  # noqa: S105 - a path
# The application may not do this, or there is no such path or application: a wrong address or a rule at GitHub.
_LASTING = frozenset({403, 404})
_ERROR_NAME = re.compile(r"[a-z_]{1,60}")
_WRONG_SETTINGS: dict[str, type[Unavailable]] = {
    "incorrect_client_credentials": WrongGitHubSettings,
    "redirect_uri_mismatch": WrongCallback,
}
_LAST_ID = 2**63 - 1
# Letters, digits and hyphens; an underscore in the logins of companies that manage their accounts.
_LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_LONGEST_NAME = 255
_EMAIL = re.compile(r"[^@\s\x00]{1,64}@[^@\s\x00]{1,189}")


class GitHubNotConfigured(Unavailable):
    """503: this server has no GitHub application."""

    default = "Sign-in with GitHub is not set up: GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET are missing."


class GitHubClient(OAuth2Client):  # type: ignore[misc]  # allauth is untyped
    """Exchanges the code for a token. GitHub answers its errors with status 200."""

    def get_access_token(
        self, code: str, pkce_code_verifier: str | None = None, extra_data: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """GitHub's token answer. Raises OAuth2Error, or ProviderException when GitHub is down."""
        form = {
            "client_id": self.consumer_key,
            "client_secret": self.consumer_secret,
            "redirect_uri": self.callback_url,
            "code": code,
            **({"code_verifier": pkce_code_verifier} if pkce_code_verifier else {}),
            **(extra_data or {}),
        }
        body = _ask(_github(settings.GITHUB_URL, accept="application/json"), "POST", _TOKEN_PATH, form=form)
        if not isinstance(body, dict) or not isinstance(body.get("access_token"), str):
            raise _no_token(body.get("error") if isinstance(body, dict) else None)
        # The token is used at once and not kept, so nothing else of the answer matters.
        return {"access_token": body["access_token"]}


class GitHubAdapter(GitHubOAuth2Adapter):  # type: ignore[misc]  # allauth is untyped
    """Signs people in at the GitHub that the settings name."""

    client_class = GitHubClient

    @property
    def access_token_url(self) -> str:
        """Where codes are exchanged."""
        return f"{settings.GITHUB_URL}{_TOKEN_PATH}"

    @property
    def authorize_url(self) -> str:
        """Where people approve."""
        return f"{settings.GITHUB_URL}/login/oauth/authorize"

    def get_callback_url(self, request: HttpRequest, app: object) -> str:  # noqa: ARG002 - allauth's signature
        """The registered callback, from PUBLIC_URL and never from the Host header."""
        return f"{settings.PUBLIC_URL}{reverse('github_callback')}"

    def complete_login(self, request: HttpRequest, app: object, token: SocialToken, **_kwargs: Any) -> SocialLogin:  # noqa: ARG002
        """The person behind `token`. Raises ProviderException for an answer that isn't a profile."""
        api = _github(settings.GITHUB_API_URL, accept="application/vnd.github+json", token=token.token)
        profile = _profile(_ask(api, "GET", "/user"))
        emails = _ask(api, "GET", "/user/emails")
        profile |= {"emails": _verified_primary(emails), "emails_are_read": _are_addresses(emails)}
        if settings.SIGNUP_ALLOWED_ORGANIZATIONS:
            profile |= _organizations(api)
        return self.get_provider().sociallogin_from_response(request, profile)


def _github(base_url: str, *, accept: str, token: str = "") -> Service:
    """GitHub for one sign-in: they are rare, and a connection kept until the next one may be dead by then."""
    headers = {"Accept": accept, **({"Authorization": f"Bearer {token}"} if token else {})}
    return Service(
        name="GitHub",
        base_url=base_url,
        headers=headers,
        budget=_SECONDS,
        shares_budget=True,
        longest_body=_LONGEST_ANSWER_BYTES,
    )


def _no_token(name: object) -> Exception:
    """What to raise for GitHub's refusal of a code. It names the error only: the rest is GitHub's own business."""
    if not isinstance(name, str) or not _ERROR_NAME.fullmatch(name):
        name = "no error's name"
    message = f"GitHub answered {_OK} for {_TOKEN_PATH} with {name} in place of an access token"
    wrong = _WRONG_SETTINGS.get(name)
    error: Exception = LastingRefusal(message, wrong()) if wrong else OAuth2Error(message)
    return error


def _ask(service: Service, method: str, path: str, **parts: Any) -> object:
    """The answer's JSON. Raises ProviderException, which allauth expects, for all that goes wrong."""
    return _answer(service, method, path, **parts)[0]


def _answer(service: Service, method: str, path: str, **parts: Any) -> tuple[object, Mapping[str, str]]:
    """The same with the answer's headers."""
    try:
        answer = service.call(method, path, **parts)
    except (ServiceFailed, ServiceTimeout) as error:
        raise ProviderException(f"GitHub gave no answer for {path}") from error
    if answer.status in _LASTING and not _is_over_its_limit(answer):
        raise LastingRefusal(f"GitHub answered {answer.status} for {path}", SignInRefused())
    if answer.status != _OK:
        raise ProviderException(f"GitHub answered {answer.status} for {path}")
    body = answer.json()
    if body is None:
        raise ProviderException("GitHub's answer is not JSON")
    return body, answer.headers


def _is_over_its_limit(answer: Response) -> bool:
    """Whether GitHub says no for a while only, which it does with 403, too."""
    return "retry-after" in answer.headers or answer.headers.get("x-ratelimit-remaining") == "0"


def _profile(answer: object) -> dict[str, Any]:
    """Id and login must be there and of their type: a broken answer must never match somebody's account."""
    if not isinstance(answer, dict):
        raise ProviderException("GitHub's profile is not an object")
    number, login = answer.get("id"), answer.get("login")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number <= _LAST_ID:
        raise ProviderException("GitHub's profile has no id")
    if not isinstance(login, str) or not _LOGIN.fullmatch(login):
        raise ProviderException("GitHub's profile has no login")
    name = answer.get("name")
    return {"id": number, "login": login, "name": _printable(name) if isinstance(name, str) else ""}


def _printable(name: str) -> str:
    """The name without what would break a line, a log or the database."""
    return "".join(letter for letter in name if letter.isprintable()).strip()[:_LONGEST_NAME]


def _verified_primary(answer: object) -> list[dict[str, Any]]:
    entries = answer if isinstance(answer, list) else []
    return [
        {"email": entry["email"], "primary": True, "verified": True}
        for entry in entries
        if isinstance(entry, dict)
        and entry.get("primary") is True
        and entry.get("verified") is True
        and isinstance(entry.get("email"), str)
        and _EMAIL.fullmatch(entry["email"])
    ][:1]


def _are_addresses(answer: object) -> bool:
    """Whether the whole answer can be read. Every account has an address, so an empty list tells nothing."""
    entries = answer if isinstance(answer, list) else []
    return bool(entries) and all(
        isinstance(entry, dict)
        and isinstance(entry.get("email"), str)
        and isinstance(entry.get("primary"), bool)
        and isinstance(entry.get("verified"), bool)
        for entry in entries
    )


def _organizations(api: Service) -> dict[str, Any]:
    """The organizations that GitHub shows of the person, and whether these are all of theirs.

    It leaves out those behind a single sign-on that the person has no session with, and, for a token without the scope,
    those whose membership is concealed.
    """
    found: list[dict[str, Any]] = []
    is_read = True
    for page in range(1, _MOST_PAGES + 1):
        query = [("per_page", str(_PAGE)), ("page", str(page))]
        answer, headers = _answer(api, "GET", "/user/orgs", query=query)
        entries = answer if isinstance(answer, list) else None
        is_read = is_read and all(map(_is_organization, entries or ()))
        found += [_organization(entry) for entry in entries or () if _is_organization(entry)]
        if entries is None or len(entries) < _PAGE:
            scopes = set(headers.get("x-oauth-scopes", "").replace(",", " ").split())
            is_shown = "x-oauth-scopes" not in headers or bool(scopes & _SCOPES_THAT_SHOW)
            is_whole = entries is not None and is_read and is_shown and "x-github-sso" not in headers
            return {"organizations": found, "organizations_are_all": is_whole}
    return {"organizations": found, "organizations_are_all": False}


def _organization(entry: Any) -> dict[str, Any]:
    return {"login": entry["login"].lower(), "id": entry["id"]}


def _is_organization(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("login"), str) and isinstance(entry.get("id"), int)


@login_not_required
def sign_in(request: HttpRequest) -> HttpResponse:
    """POST /auth/github: send the browser to GitHub, and to `next` (a path of ours) afterwards.

    A bare link must not begin a sign-in, so anything but a POST leads to the page with the button.
    """
    if request.method != "POST":
        return redirect("account_login")
    if not settings.GITHUB_CLIENT_ID:
        raise GitHubNotConfigured
    provider = GitHubAdapter(request).get_provider()
    # allauth's provider would otherwise send people to the GitHub that its own adapter names.
    provider.oauth2_adapter_class = GitHubAdapter
    next_path = own_path(request.POST.get("next", "")) or resolve_url(settings.LOGIN_REDIRECT_URL)
    answer: HttpResponse = provider.redirect(request, process=AuthProcess.LOGIN, next_url=next_path)
    return answer


_callback = OAuth2CallbackView.adapter_view(GitHubAdapter)


@login_not_required
def callback(request: HttpRequest) -> HttpResponse:
    """GET /api/auth/github/callback: sign the person in and send them on to where they came from."""
    state_id = request.GET.get("state", "")
    begun = get_states(request).get(state_id)
    if request.user.is_authenticated and begun is None:
        # The address was loaded again: what it was for is done.
        return _go_on(request, redirect(way_back(request) or resolve_url(settings.LOGIN_REDIRECT_URL)))
    if request.method == "HEAD" and begun is not None:
        # The state stays good for the browser. What GitHub would say isn't asked: as if it said yes.
        if refused := refusal_of(request):
            return not_signed_in(request, refused, title="Sign-in failed")
        return _go_on(
            request, redirect(own_path(begun[0].get("next") or "") or resolve_url(settings.LOGIN_REDIRECT_URL))
        )
    if begun is not None:
        # A state is good once, and for ten minutes. Where it leads outlives it, for whoever has to begin again.
        request.session[LAST_SIGN_IN] = (state_id, begun[0].get("next") or "")
    answer: HttpResponse = _callback(request)
    if answer.get("Location") == reverse("socialaccount_signup"):
        # The address was free when the adapter looked, and taken when allauth did: a sign-in beside this
        # one took it in between. allauth would ask for another address, and keep GitHub's token until then.
        request.session.pop("socialaccount_sociallogin", None)
        return not_signed_in(request, SignInTwice(), title="Please try again")
    if request.user.is_authenticated and (target := answer.get("Location")):
        request.session[LAST_SIGN_IN] = (state_id, target)
    return _go_on(request, answer)


def _go_on(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    if urlsplit(answer.get("Location", "")).path in settings.PATHS_LEADING_AWAY:
        # The chain began with a form of ours, whose redirects the browser follows to this server and GitHub only.
        return render(request, "accounts/go_on.html", {"next": answer["Location"]})
    return answer
