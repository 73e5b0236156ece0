"""A client of the authorization server as it is written everywhere: PKCE, a browser, a form to the token address."""

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from django.test import Client

from accounts.models import OAuthClient
from tests.accounts.browsing import form_of

LOOPBACK = "http://127.0.0.1/callback"
WEB = "https://app.example.com/callback"


def make_client(**fields: Any) -> OAuthClient:
    """A public client that an operator has looked at, unless the fields say otherwise."""
    made = OAuthClient(
        **{
            "client_id": "notes",
            "name": "Notes",
            "client_type": "public",
            "authorization_grant_type": "authorization-code",
            "redirect_uris": f"{WEB} {LOOPBACK}",
            "is_verified": True,
            **fields,
        }
    )
    made.full_clean(exclude=["client_secret"])
    made.save()
    return made


@dataclass
class Flow:
    """One sign-in of a client."""

    client_id: str = "notes"
    redirect_uri: str = WEB
    scope: str = "openid profile email connections:read"
    secret: str = ""
    state: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    http: Client = field(default_factory=lambda: Client(raise_request_exception=False))

    @property
    def challenge(self) -> str:
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()

    def address(self, **changed: Any) -> str:
        """Where the browser is sent; None leaves a parameter out."""
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": self.scope,
            "state": self.state,
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
            **changed,
        }
        return f"/oauth/authorize?{urlencode({k: v for k, v in asked.items() if v is not None}, doseq=True)}"

    def allow(self, browser: Any, **changed: Any) -> dict[str, str]:
        """Press Allow; gives what the client is told."""
        address = self.address(**changed)
        page = browser.get(address)
        assert page.status_code == 200, page.content.decode()
        return told(press(browser, page, address, decision="allow"))

    def form(self, path: str, **fields: Any) -> Any:
        """POST a form as this client."""
        sent = {"client_id": self.client_id, **({"client_secret": self.secret} if self.secret else {}), **fields}
        body = urlencode({k: v for k, v in sent.items() if v is not None}, doseq=True)
        return self.http.post(path, body, content_type="application/x-www-form-urlencoded")

    def redeem(self, code: str, **changed: Any) -> Any:
        fields = {"code": code, "redirect_uri": self.redirect_uri, "code_verifier": self.verifier, **changed}
        return self.form("/oauth/token", grant_type="authorization_code", **fields)

    def refresh(self, token: str, **changed: Any) -> Any:
        return self.form("/oauth/token", grant_type="refresh_token", refresh_token=token, **changed)

    def sign_in(self, browser: Any, **changed: Any) -> dict[str, Any]:
        """The whole way; gives the token answer."""
        answer = self.redeem(self.allow(browser, **changed)["code"])
        assert answer.status_code == 200, answer.content
        body: dict[str, Any] = answer.json()
        return body


def told(answer: Any) -> dict[str, str]:
    """The parameters with which the browser is sent back to the client."""
    assert answer.status_code == 302, answer.content.decode()
    query = parse_qs(urlsplit(answer["Location"]).query)
    return {name: values[0] for name, values in query.items()}


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def press(browser: Any, page: Any, address: str, **fields: str) -> Any:
    """Send the page's form, whose address has a query."""
    return browser.client.post(address, {**form_of(page, address.replace("&", "&amp;")), **fields})
