"""Who somebody is, as OpenID Connect Core has it: ID tokens and the answer at `userinfo`."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from accounts.models import Login, User
from accounts.oauth import access_tokens
from accounts.oauth.keys import ring

_LIFETIME = timedelta(minutes=5)


def claims_of(user: User, *, scopes: Iterable[str]) -> dict[str, Any]:
    """What the scopes let a client know (section 5.4)."""
    asked = set(scopes)
    claims: dict[str, Any] = {"sub": str(user.pk)}
    if "profile" in asked:
        claims |= {"name": user.display_name, "preferred_username": user.get_short_name()}
    if "email" in asked and user.email:
        # GitHub's addresses are taken over only when they are verified.
        claims |= {"email": user.email, "email_verified": user.github_id is not None}
    return claims


def id_token(begun: Mapping[str, Any], *, login: Login, scopes: Iterable[str], now: datetime) -> str:
    """A signed ID token (section 2); oauthlib has begun it with audience, nonce and `at_hash`."""
    user = login.user
    claims = {
        **begun,
        **claims_of(user, scopes=scopes),
        "iss": settings.PUBLIC_URL,
        "iat": int(now.timestamp()),
        "exp": int((now + _LIFETIME).timestamp()),
        "auth_time": int((user.last_login or login.created_at).timestamp()),
        "sid": str(login.pk),
    }
    if ring(now=now).signer(now).algorithm != "RS256":
        # oauthlib makes it with SHA-256, which belongs to RS256 alone; it may be left out (section 3.1.3.6).
        claims.pop("at_hash", None)
    return access_tokens.sign(claims, kind="JWT", now=now)
