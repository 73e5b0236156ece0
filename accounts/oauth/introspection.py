"""Telling services what a credential is that somebody brought them (RFC 7662)."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.conf import settings

from accounts.oauth import access_tokens, resources
from accounts.principals import SCOPES, Principal

_INACTIVE: dict[str, Any] = {"active": False}


def introspect(
    token: str, *, now: datetime, of_keys: Callable[[str, datetime], Principal | None] | None = None
) -> dict[str, Any]:
    """What the token is, or that it is nothing: for one that is unknown, over or for refreshing alike.

    `of_keys` knows the other kinds of credential that a service may be brought.
    """
    if not access_tokens.looks_like_one(token):
        who = of_keys(token, now) if of_keys else None
        return _INACTIVE if who is None else {**_about(who), "token_type": "Bearer"}
    try:
        verified = access_tokens.verify(token, audiences=resources.audiences(), now=now)
        who = access_tokens.principal_of_jwt(token, now=now, audiences=resources.audiences())
    except Exception as error:
        if not access_tokens.is_refusal(error):
            raise
        return _INACTIVE
    said = {name: verified.claims[name] for name in ("aud", "exp", "iat", "jti", "sid", "client_id", "org")}
    return {**_about(who), **said, "token_type": "Bearer"}


def _about(who: Principal) -> dict[str, Any]:
    scopes = SCOPES if who.scopes is None else [scope for scope in SCOPES if scope in who.scopes]
    return {
        "active": True,
        "iss": settings.PUBLIC_URL,
        "sub": str(who.id),
        "username": who.login or who.name,
        "scope": " ".join(scopes),
        "principal_type": str(who.kind),
    }
