"""Dev-UI tokens: JWTs that a machine verifies by itself, with the public key it was given.

EdDSA as RFC 8037 has it, over a JWT of RFC 7519. A machine looks at the signature, at `app`, `exp` and `use`,
and by `jti` at the list of revoked ones, as its image's README says. Nothing here is a token for this server's API.
"""

import hashlib
import uuid
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, Self

import jwt
import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from jwt.utils import base64url_encode

from core.errors import Unavailable

LIFETIME = timedelta(days=1)
# What a webhook token may ask for, by the contract's words.
LIFETIMES = {f"{days}d": timedelta(days=days) for days in (7, 30, 90, 365)}
_ALGORITHM = "EdDSA"


class Use(StrEnum):
    """What a token was given out for, so that one kind is never taken for another."""

    BROWSER = "dev-ui"
    MCP = "mcp"
    WEBHOOK = "webhook"
    CRON = "cron"


class NotConfigured(Unavailable):
    """503: there is no key to sign with, or none that can be read."""

    default = "This server can't sign tokens for workspaces: its DEV_UI_JWT_PRIVATE_KEY is not set. Ask an operator."


class Signer:
    """Signs tokens with one key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._private, self._public = key, key.public_key()
        self.kid = _thumbprint(self._public.public_bytes(Encoding.Raw, PublicFormat.Raw))

    def __repr__(self) -> str:
        return f"<Signer {self.kid}>"

    @classmethod
    def from_settings(cls) -> "Signer":
        """The server's own, read once per process. Raises NotConfigured."""
        if not settings.DEV_UI_JWT_PRIVATE_KEY:
            raise NotConfigured
        try:
            return _signer_of(settings.DEV_UI_JWT_PRIVATE_KEY)
        except ImproperlyConfigured as error:
            raise NotConfigured(NotConfigured.default.replace("is not set", "can't be read")) from error

    @classmethod
    def from_pem(cls, value: str) -> Self:
        r"""One that signs with a PKCS 8 key in PEM; `\n` may stand for its newlines. Raises ImproperlyConfigured."""
        try:
            key = load_pem_private_key(value.replace("\\n", "\n").encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            # What the library says of it could quote it.
            raise ImproperlyConfigured(
                "DEV_UI_JWT_PRIVATE_KEY must be an Ed25519 key in PEM (PKCS 8, without a passphrase), "
                "as `openssl genpkey -algorithm ed25519` makes it."
            )
        return cls(key)

    def public_key_pem(self, *, escaped: bool) -> str:
        r"""What machines verify with, in PEM (SPKI); escaped, it is one line with `\n` for the newlines."""
        pem = self._public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
        return pem.strip().replace("\n", "\\n") if escaped else pem

    def sign(  # noqa: PLR0913 - the claims
        self,
        *,
        user_id: uuid.UUID,
        app: str,
        login: str,
        use: Use,
        now: datetime,
        lifetime: timedelta = LIFETIME,
        jti: uuid.UUID | None = None,
    ) -> str:
        """A token for one person on one machine; `app` is the machine's name at Fly, `exp` is `now` and `lifetime`.

        `login` is a GitHub login or a Linux user; only webhook tokens are kept by `jti`.
        """
        issued = int(now.timestamp())
        claims: dict[str, Any] = {
            "sub": str(user_id),
            "app": app,
            "login": login,
            "use": use.value,
            "iat": issued,
            "exp": issued + int(lifetime.total_seconds()),
        }
        if jti is not None:
            claims["jti"] = str(jti)
        return jwt.encode(claims, self._private, algorithm=_ALGORITHM, headers={"kid": self.kid})


def _thumbprint(public: bytes) -> str:
    """The name of a key by RFC 7638, with the members that RFC 8037 section 2 wants, in their order."""
    members = {"crv": "Ed25519", "kty": "OKP", "x": base64url_encode(public).decode("ascii")}
    return base64url_encode(hashlib.sha256(orjson.dumps(members)).digest()).decode("ascii")


@lru_cache(maxsize=4)
def _signer_of(value: str) -> Signer:
    return Signer.from_pem(value)
