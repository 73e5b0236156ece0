"""GitHub as allauth's provider: hosts from settings, and a profile that is read strictly.

https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps
"""

from typing import Any

import requests
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialLogin, SocialToken
from allauth.socialaccount.providers.base import ProviderException
from allauth.socialaccount.providers.github.views import GitHubOAuth2Adapter
from allauth.socialaccount.providers.oauth2.client import OAuth2Client, OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView, OAuth2LoginView
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

_OK = 200


class GitHubClient(OAuth2Client):  # type: ignore[misc]  # allauth is untyped
    """Exchanges the code for a token. GitHub answers its errors with status 200."""

    def get_access_token(
        self, code: str, pkce_code_verifier: str | None = None, extra_data: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """GitHub's token answer. Raises OAuth2Error, or RequestException when GitHub is down."""
        form = {
            "client_id": self.consumer_key,
            "client_secret": self.consumer_secret,
            "redirect_uri": self.callback_url,
            "code": code,
            **({"code_verifier": pkce_code_verifier} if pkce_code_verifier else {}),
            **(extra_data or {}),
        }
        with get_adapter().get_requests_session() as session:
            answer = session.post(self.access_token_url, data=form, headers={"Accept": "application/json"})
            answer.raise_for_status()
            body = answer.json()
        if not isinstance(body, dict) or not isinstance(body.get("access_token"), str):
            # The error's name only: the rest of the answer is GitHub's own business.
            name = body.get("error") if isinstance(body, dict) else None
            raise OAuth2Error(f"GitHub gave no access token: {name}")
        return body


class GitHubAdapter(GitHubOAuth2Adapter):  # type: ignore[misc]  # allauth is untyped
    """Signs people in at the GitHub that the settings name."""

    client_class = GitHubClient

    @property
    def access_token_url(self) -> str:
        """Where codes are exchanged."""
        return f"{settings.GITHUB_URL}/login/oauth/access_token"

    @property
    def authorize_url(self) -> str:
        """Where people approve."""
        return f"{settings.GITHUB_URL}/login/oauth/authorize"

    def get_callback_url(self, request: HttpRequest, app: object) -> str:  # noqa: ARG002 - allauth's signature
        """The registered callback, from PUBLIC_URL and never from the Host header."""
        return f"{settings.PUBLIC_URL}{reverse('github_callback')}"

    def complete_login(self, request: HttpRequest, app: object, token: SocialToken, **_kwargs: Any) -> SocialLogin:  # noqa: ARG002
        """The person behind `token`. Raises ProviderException for an answer that isn't a profile."""
        with get_adapter().get_requests_session() as session:
            session.headers["Authorization"] = f"Bearer {token.token}"
            session.headers["Accept"] = "application/vnd.github+json"
            profile = _profile(_fetch(session, "/user"))
            profile["emails"] = _verified_primary(_fetch(session, "/user/emails"))
            if settings.SIGNUP_ALLOWED_ORGANIZATIONS:
                profile["organizations"] = _logins(_fetch(session, "/user/orgs?per_page=100"))
        return self.get_provider().sociallogin_from_response(request, profile)


def _fetch(session: requests.Session, path: str) -> object:
    answer = session.get(f"{settings.GITHUB_API_URL}{path}")
    if answer.status_code != _OK:
        raise ProviderException(f"GitHub answered {answer.status_code} for {path.partition('?')[0]}")
    body: object = answer.json()
    return body


def _profile(answer: object) -> dict[str, Any]:
    """Id and login must be there and of their type: a broken answer must never match somebody's account."""
    if not isinstance(answer, dict):
        raise ProviderException("GitHub's profile is not an object")
    number, login = answer.get("id"), answer.get("login")
    if not isinstance(number, int) or isinstance(number, bool) or number <= 0:
        raise ProviderException("GitHub's profile has no id")
    if not isinstance(login, str) or not login:
        raise ProviderException("GitHub's profile has no login")
    name = answer.get("name")
    return {"id": number, "login": login, "name": name if isinstance(name, str) else ""}


def _verified_primary(answer: object) -> list[dict[str, Any]]:
    entries = answer if isinstance(answer, list) else []
    return [
        {"email": entry["email"], "primary": True, "verified": True}
        for entry in entries
        if isinstance(entry, dict)
        and entry.get("primary") is True
        and entry.get("verified") is True
        and isinstance(entry.get("email"), str)
    ][:1]


def _logins(answer: object) -> list[str]:
    entries = answer if isinstance(answer, list) else []
    return [str(entry["login"]).lower() for entry in entries if isinstance(entry, dict) and entry.get("login")]


sign_in = OAuth2LoginView.adapter_view(GitHubAdapter)
callback = OAuth2CallbackView.adapter_view(GitHubAdapter)
