"""Access tokens that others verify by themselves: JWTs as RFC 9068 has them, good for five minutes.

What a token says was true when it was signed. Here it is asked again: one query finds whether its login still is.
"""

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt
from django.conf import settings

from accounts.bearer import InvalidToken, NotAMember, Suspended, Waiting
from accounts.models.logins import Login
from accounts.oauth import keys
from accounts.principals import SCOPES, Principal, Proof
from core.database import fetch_row
from core.errors import Unauthenticated

LIFETIME = timedelta(minutes=5)
# Of several servers each has its own clock.
_CLOCKS_DIFFER = timedelta(seconds=30)
_TYPE = "at+jwt"
_LONGEST = 4096
# JSON may spell a character with twelve; a token with longer names would be longer than that.
_LONGEST_NAME = 64
_LOOKS_LIKE = re.compile(r"ey[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_REQUIRED = ("iss", "sub", "aud", "iat", "exp", "jti", "sid")
_USE_IS_NOTED_EVERY = timedelta(minutes=1)
# What a token says of which client it is, where no client but this server's own pages asked for it.
OWN_PAGES = "crayon-web"

# One statement by hand, as for opaque tokens (`accounts.bearer`). A browser's login is alive as its session is.
_FIND = """
SELECT l.revoked_at, l.ends_at, l.last_used_at, l.browser_id IS NULL OR s.expire_date > %s,
       u.id, u.is_active, u.waitlisted_at, u.name, u.github_login, u.username, u.email, u.cache_epoch, u.access_epoch,
       o.id, o.slug, o.suspended_at, m.role
  FROM accounts_login l
  JOIN accounts_user u ON u.id = l.user_id
  JOIN accounts_organization o ON o.id = l.organization_id
  LEFT JOIN accounts_membership m ON m.organization_id = o.id AND m.user_id = u.id
  LEFT JOIN usersessions_usersession b ON b.id = l.browser_id
  LEFT JOIN django_session s ON s.session_key = b.session_key
 WHERE l.id = %s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What a token of ours says that is good by its signature and its time; its login may be over."""

    login_id: uuid.UUID
    claims: Mapping[str, Any]

    @property
    def scopes(self) -> frozenset[str] | None:
        """What the token is narrowed to; None where it isn't."""
        scope = self.claims.get("scope")
        return None if scope is None else frozenset(SCOPES.keys() & set(str(scope).split()))

    @property
    def expires_at(self) -> int:
        """In seconds since 1970."""
        return int(self.claims["exp"])


def looks_like_one(token: str) -> bool:
    """Whether this is a JWT by its looks; whose, only its verification tells."""
    return len(token) <= _LONGEST and _LOOKS_LIKE.fullmatch(token) is not None


def jwt_of_ours(credential: str, *, now: datetime) -> Principal | None:
    """Whoever holds this token of ours; None for what is no JWT, or says that somebody else issued it.

    Raises as `principal_of_jwt` does.
    """
    if not looks_like_one(credential):
        return None
    try:
        said = jwt.decode(credential, options={"verify_signature": False})
    except jwt.PyJWTError:
        said = {}
    if said.get("iss", settings.PUBLIC_URL) != settings.PUBLIC_URL:
        return None
    return principal_of_jwt(credential, now=now)


def own_audiences() -> list[str]:
    """What `aud` names for this server's own API."""
    return [settings.TOKEN_AUDIENCE, settings.PUBLIC_URL, f"{settings.PUBLIC_URL}/api"]


def issue(  # noqa: PLR0913 - a token says this much
    *,
    login: Login,
    role: str,
    now: datetime,
    client_id: str = OWN_PAGES,
    audience: Sequence[str] = (),
    scopes: Iterable[str] | None = None,
) -> str:
    """A token of this login, for whoever is named as `audience`; by default for those who trust this server.

    `scopes` narrows what it may. Raises NoKey.
    """
    issued_at = int(now.timestamp())
    user, organization = login.user, login.organization
    claims = {
        "iss": settings.PUBLIC_URL,
        "sub": str(user.pk),
        "aud": _one_or_many(audience or [settings.TOKEN_AUDIENCE]),
        "iat": issued_at,
        "exp": issued_at + int(LIFETIME.total_seconds()),
        "jti": str(uuid.uuid4()),
        "sid": str(login.pk),
        "client_id": client_id,
        "id": str(user.pk),
        "email": user.email,
        "name": user.display_name[:_LONGEST_NAME],
        "org": {
            "id": str(organization.pk),
            "slug": organization.slug,
            "name": organization.name[:_LONGEST_NAME],
            "role": role,
        },
    }
    if scopes is not None:
        claims["scope"] = " ".join(dict.fromkeys(scopes))
    return sign(claims, kind=_TYPE, now=now)


def sign(claims: Mapping[str, Any], *, kind: str, now: datetime) -> str:
    """The claims as a JWT of this `typ`, by the key that signs now. Raises NoKey."""
    key = keys.ring(now=now).signer(now)
    return jwt.encode(dict(claims), key.private(), algorithm=key.algorithm, headers={"kid": key.kid, "typ": kind})


def verify(token: str, *, audiences: Sequence[str], now: datetime) -> Verified:
    """What a token of ours says, by its signature alone. Raises InvalidToken.

    The key is found by its id and decides how it signs: what the token says of that has to agree (RFC 8725).
    """
    if not looks_like_one(token):
        raise InvalidToken
    try:
        header = jwt.get_unverified_header(token)
        key = keys.find(str(header.get("kid")), now=now)
        if key is None or header.get("typ", "").lower() not in {_TYPE, f"application/{_TYPE}"} or "crit" in header:
            raise InvalidToken
        claims = jwt.decode(
            token,
            key.public,
            algorithms=[key.algorithm],
            audience=list(audiences),
            issuer=settings.PUBLIC_URL,
            # The time is an argument here.
            options={"require": list(_REQUIRED), "verify_exp": False, "verify_iat": False, "verify_nbf": False},
        )
        login_id = uuid.UUID(claims["sid"])
        issued_at, expires_at = float(claims["iat"]), float(claims["exp"])
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError) as error:
        raise InvalidToken from error
    if expires_at <= now.timestamp() or issued_at > (now + _CLOCKS_DIFFER).timestamp():
        raise InvalidToken
    return Verified(login_id=login_id, claims=claims)


def principal_of_jwt(token: str, *, now: datetime, audiences: Sequence[str] = ()) -> Principal:
    """Who holds a token of ours, as long as its login is alive; one query.

    Raises InvalidToken (401), or Suspended, Waiting or NotAMember (403). Notes the login's use, at most once a minute.
    """
    verified = verify(token, audiences=audiences or own_audiences(), now=now)
    row = fetch_row(_FIND, [now, verified.login_id])
    if row is None:
        raise InvalidToken
    (
        revoked_at, ends_at, last_used_at, session_lives,
        user_id, is_active, waitlisted_at, name, github_login, username, email, cache_epoch, access_epoch,
        organization_id, slug, suspended_at, role,
    ) = row  # fmt: skip
    if revoked_at is not None or ends_at <= now or not session_lives or str(user_id) != verified.claims["sub"]:
        raise InvalidToken
    if not is_active:
        raise Waiting if waitlisted_at else Suspended
    if suspended_at is not None:
        raise Suspended
    if role is None:
        raise NotAMember
    if last_used_at is None or now - last_used_at >= _USE_IS_NOTED_EVERY:
        note_use(verified.login_id, now=now)
    return Principal(
        id=user_id,
        proof=Proof.JWT,
        credential_id=verified.login_id,
        organization_id=organization_id,
        organization_slug=slug,
        role=role,
        scopes=verified.scopes,
        name=name,
        login=github_login or username,
        email=email,
        cache_epoch=cache_epoch,
        access_epoch=access_epoch,
    )


def is_refusal(error: Exception) -> bool:
    """Whether `principal_of_jwt` says no with this, rather than that something is broken."""
    return isinstance(error, Unauthenticated | Suspended | Waiting | NotAMember)


def note_use(login_id: uuid.UUID, *, now: datetime) -> None:
    """Write down that the login is used; of many at once one writes."""
    idle = Login.objects.alive().filter(pk=login_id).exclude(last_used_at__gt=now - _USE_IS_NOTED_EVERY)
    idle.update(last_used_at=now)


def _one_or_many(audience: Sequence[str]) -> str | list[str]:
    """RFC 7519, section 4.1.3: one as a string."""
    return audience[0] if len(audience) == 1 else list(audience)
