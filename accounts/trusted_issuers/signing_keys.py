"""The issuer's public keys (JWKS, RFC 7517): fetched from the configured address, kept for an hour.

The last good copy goes on for a day while the address fails; then nobody can be told by it, and tokens are refused.
"""

import logging
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from time import monotonic
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from django.conf import settings

from accounts.trusted_issuers.errors import IssuerAway
from core.http_client import Service, ServiceFailed, ServiceTimeout

logger = logging.getLogger(__name__)

FETCH_SECONDS = 10.0
KEPT_SECONDS = 3600
LAST_COPY_SECONDS = 24 * 3600
# A token with a key that isn't known may be of one that is new; a stranger's must not have the address asked each time.
PAUSE_SECONDS = 30
_PAUSE_WITHOUT_A_COPY_SECONDS = 5
# Whoever comes while the first copy is being fetched waits for it so long from the fetch's beginning, and no longer:
# an issuer that hangs would keep all threads of the server waiting, and anybody can name a key.
_PATIENCE_SECONDS = 1.0
# A request may be so much older than the end of the fetch that it came upon. One that is older yet tells of a clock
# that was set back.
_LAG_SECONDS = 60
_LONGEST_BYTES = 256 * 1024
_MOST_KEYS = 50
_LONGEST_KID = 255
# Which algorithm a key is for follows from the key, never from the token (RFC 8725, section 3.1).
_ALGORITHMS = {("RSA", None): "RS256", ("OKP", "Ed25519"): "EdDSA", ("EC", "P-256"): "ES256"}
_OTHER_NAMES = {"Ed25519": "EdDSA"}
_RSA_BITS = range(2048, 8193)
_OK = 200


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key, and the one algorithm it verifies."""

    algorithm: str
    key: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Copy:
    keys: Mapping[str, SigningKey]
    fetched_at: float


class SigningKeys:
    """The keys at one address. Safe for threads; one of them fetches, the others go on with the copy that is there."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        self._service = Service(
            name="The trusted issuer",
            base_url=f"{parts.scheme}://{parts.netloc}",
            headers={"Accept": "application/json"},
            budget=FETCH_SECONDS,
            longest_body=_LONGEST_BYTES,
        )
        self._copy: _Copy | None = None
        self._tried_at: float | None = None
        self._began_at: float | None = None
        self._failed = False
        self._lock = threading.Lock()

    def find(self, kid: str, *, at: float) -> SigningKey | None:
        """The key by this id at a time (seconds since 1970), None when the issuer has none.

        Raises IssuerAway when that can't be known.
        """
        copy = self._copy
        if copy is None or not 0 <= at - copy.fetched_at < KEPT_SECONDS:
            copy = self._refreshed(copy, at=at)
        if kid not in copy.keys:
            copy = self._refreshed(copy, at=at)
            if kid not in copy.keys and self._failed:
                raise IssuerAway
        return copy.keys.get(kid)

    def _refreshed(self, seen: _Copy | None, *, at: float) -> _Copy:
        """A newer copy than the one seen, where there is one to be had now; else that one. Raises IssuerAway."""
        if self._lock.acquire(timeout=self._patience() if seen is None else 0):
            try:
                if self._copy is seen and self._may_try(at):
                    self._fetch(at)
            finally:
                self._lock.release()
        copy = self._copy
        if copy is None or not 0 <= at - copy.fetched_at < LAST_COPY_SECONDS:
            raise IssuerAway
        return copy

    def _patience(self) -> float:
        """How long to wait for another thread's fetch, in seconds."""
        if self._began_at is None:
            return _PATIENCE_SECONDS
        return max(0.0, self._began_at + _PATIENCE_SECONDS - monotonic())

    def _may_try(self, at: float) -> bool:
        pause = PAUSE_SECONDS if self._copy is not None else _PAUSE_WITHOUT_A_COPY_SECONDS
        return self._tried_at is None or not -_LAG_SECONDS <= at - self._tried_at < pause

    def _fetch(self, at: float) -> None:
        self._began_at, self._failed = monotonic(), True
        try:
            answer = self._service.call("GET", self._path)
        except (ServiceFailed, ServiceTimeout):
            return  # logged by the service, with the path
        finally:
            # The pause counts from the end: a fetch that hangs is longer than it.
            self._tried_at = at + monotonic() - self._began_at
        keys = _usable_keys(answer.body) if answer.status == _OK else {}
        if not keys:
            logger.warning("the trusted issuer's keys can't be used: status %s, no usable key", answer.status)
            return
        self._copy, self._failed = _Copy(keys, at), False


def signing_keys(address: str) -> SigningKeys:
    """The process's one copy of the keys at this address."""
    return _shared(address, settings.OUTGOING_PROXY_URL, settings.OUTGOING_CA_FILE)


@lru_cache(maxsize=4)
def _shared(address: str, _proxy: str, _authorities: str) -> SigningKeys:
    return SigningKeys(address)


def forget_all() -> None:
    """Let go of all copies; for tests."""
    _shared.cache_clear()


def _usable_keys(body: bytes) -> dict[str, SigningKey]:
    """The keys of a JWKS that may verify a token, by id; {} for what is no JWKS. Of two with one id neither counts."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    entries = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(entries, list) or len(entries) > _MOST_KEYS:
        return {}
    named = [entry for entry in entries if isinstance(entry, dict) and _is_id(entry.get("kid"))]
    times = Counter(entry["kid"] for entry in named)
    keys = {entry["kid"]: _usable(entry) for entry in named if times[entry["kid"]] == 1}
    return {kid: key for kid, key in keys.items() if key is not None}


def _is_id(kid: object) -> bool:
    return isinstance(kid, str) and 0 < len(kid) <= _LONGEST_KID


def _usable(entry: Mapping[str, Any]) -> SigningKey | None:
    """The key of one entry, None for one that is for something else, too weak, or broken."""
    kind, curve = entry.get("kty"), entry.get("crv")
    algorithm = _ALGORITHMS.get((str(kind), None if kind == "RSA" else str(curve)))
    declared = entry.get("alg", algorithm)
    if algorithm is None or _OTHER_NAMES.get(str(declared), declared) != algorithm:
        return None
    uses = entry.get("key_ops", ["verify"])
    if entry.get("use", "sig") != "sig" or not isinstance(uses, list) or "verify" not in uses:
        return None
    public = {name: value for name, value in entry.items() if name in {"kty", "crv", "n", "e", "x", "y"}}
    try:
        key = jwt.PyJWK(public, algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if isinstance(key, RSAPublicKey) and key.key_size not in _RSA_BITS:
        return None
    return SigningKey(algorithm, key)
