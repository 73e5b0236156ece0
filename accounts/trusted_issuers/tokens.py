"""JWTs of the trusted issuer (RFC 7519, RFC 8725): verified here, with its public keys, on every request."""

import json
import logging
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import jwt
from django.conf import settings
from jwt.utils import base64url_decode
from pydantic import BeforeValidator, StringConstraints

from accounts.principals import SCOPES, Principal, Proof
from accounts.trusted_issuers.errors import InvalidForeignToken
from accounts.trusted_issuers.resolution import Foreigner, resolve
from accounts.trusted_issuers.signing_keys import signing_keys
from core.upstream_types import OptionalText, Unreadable, reader

logger = logging.getLogger(__name__)

_LONGEST_TOKEN = 8192
_SKEW_SECONDS = 60
# What an issuer hands out can't be taken back here, so that nothing longer is taken.
_LONGEST_LIFE_SECONDS = 24 * 3600
_PARTS = 3
_TYPES = {"", "jwt", "at+jwt", "application/at+jwt"}
# An ID token or a logout token is for a client, and says so by these, even where its audience reads like ours.
_CLAIMS_OF_OTHER_TOKENS = ("nonce", "at_hash", "c_hash", "events")


def _lowered(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


Label = Annotated[str, StringConstraints(min_length=1, max_length=255)]
OptionalLabel = Annotated[OptionalText, StringConstraints(max_length=255)]
Moment = Annotated[int | float, BeforeValidator(lambda value: None if isinstance(value, bool) else value)]
Role = Annotated[Literal["owner", "admin", "member"], BeforeValidator(_lowered)]


@dataclass(frozen=True, slots=True)
class _Organization:
    slug: Label
    role: Role
    id: OptionalLabel = ""
    name: OptionalText = ""


@dataclass(frozen=True, slots=True)
class _Claims:
    sub: Label
    iat: Moment
    exp: Moment
    org: _Organization
    id: OptionalLabel = ""
    email: OptionalText = field(default="", repr=False)
    name: OptionalText = field(default="", repr=False)
    nbf: Moment = 0
    scope: str | list[str] | None = None


_read_claims = reader(_Claims)


def foreign_token(credential: str, *, now: datetime) -> Principal | None:
    """Whoever the trusted issuer's token speaks of; None for what isn't a JWT that names this issuer.

    Raises InvalidForeignToken (401), IssuerAway (503), UnknownOrganization, Suspended or Waiting (403).
    """
    trusted = settings.TRUSTED_TOKENS
    if trusted is None or not _is_of(credential, trusted.issuer):
        return None
    claims = _verified(credential, trusted=trusted, now=now)
    return resolve(
        Foreigner(
            subject=claims.sub,
            name=claims.name,
            email=claims.email,
            organization_slug=claims.org.slug,
            organization_name=claims.org.name,
            organization_id=claims.org.id,
            role=claims.org.role,
            scopes=_scopes(claims.scope),
            proof=Proof.FOREIGN_JWT,
            issued_at=datetime.fromtimestamp(claims.iat, UTC),
            may_make_organization=True,
        ),
        now=now,
    )


def _scopes(claim: str | list[str] | None) -> frozenset[str] | None:
    """What a token that names scopes is narrowed to (RFC 9068, section 2.2.3); unknown ones open nothing."""
    if claim is None:
        return None
    return frozenset(claim.split() if isinstance(claim, str) else claim) & SCOPES.keys()


def _is_of(credential: str, issuer: str) -> bool:
    """Whether this is a JWT that says it is this issuer's, which decides who has to look at it and nothing else."""
    if len(credential) > _LONGEST_TOKEN or credential.count(".") != _PARTS - 1 or not credential.startswith("ey"):
        return False
    try:
        claims = json.loads(base64url_decode(credential.split(".")[1]))
    except (ValueError, RecursionError):
        return False
    return isinstance(claims, dict) and claims.get("iss") == issuer


def _verified(token: str, *, trusted: Any, now: datetime) -> _Claims:
    """The claims of a token that is signed by the issuer, for us, and in time. Raises InvalidForeignToken."""
    try:
        header = jwt.get_unverified_header(token)
        kid = header.get("kid")
        if not isinstance(kid, str) or "crit" in header or str(header.get("typ") or "").lower() not in _TYPES:
            raise _refused("the header's kid, typ or crit")
        key = signing_keys(trusted.jwks_uri).find(kid, at=now.timestamp())
        if key is None or header.get("alg") != key.algorithm:
            raise _refused("no key of the issuer's by that kid and alg")
        claims = jwt.decode(
            token,
            key=key.key,
            algorithms=[key.algorithm],
            audience=trusted.audience,
            issuer=trusted.issuer,
            # Times are compared with `now` below.
            options={
                "require": ["exp", "iat", "aud", "iss", "sub"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
        read = _read_claims(claims)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise _refused(type(error).__name__) from None
    except Unreadable as error:
        raise _refused(f"the claim {error}") from None
    if any(name in claims for name in _CLAIMS_OF_OTHER_TOKENS) or read.id not in {"", read.sub}:
        raise _refused("claims of a token for something else")
    _require_in_time(read, at=now.timestamp())
    return read


def _require_in_time(claims: _Claims, *, at: float) -> None:
    moments = (claims.iat, claims.exp, claims.nbf)
    if not all(math.isfinite(moment) and 0 <= moment < at + 10 * _LONGEST_LIFE_SECONDS for moment in moments):
        raise _refused("a time that is none")
    if claims.exp <= at - _SKEW_SECONDS:
        raise _refused("it has expired")
    if max(claims.iat, claims.nbf) > at + _SKEW_SECONDS:
        raise _refused("it is from the future")
    if not 0 < claims.exp - claims.iat <= _LONGEST_LIFE_SECONDS:
        raise _refused("it is good for too long")


def _refused(reason: str) -> InvalidForeignToken:
    """The refusal; only the log says why, in words of ours."""
    logger.info("a token of the trusted issuer was refused: %s", reason)
    return InvalidForeignToken()
