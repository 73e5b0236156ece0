"""The ring of keys that sign tokens, in the database: made, published, rotated.

At all times two are published: the one that signs, and the next. Who verifies keeps the published keys for an hour, so
the next one is known everywhere before it signs. Each process keeps the ring, parsed, for a minute.
"""

import base64
import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, TypeAlias

import jwt.algorithms
import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from django.conf import settings
from django.db import connection, transaction

from accounts import audit
from accounts.models.signing_keys import SigningKey
from core.errors import Conflict, Unavailable
from core.fields import KeyLost, Sealed

logger = logging.getLogger(__name__)

PrivateKey: TypeAlias = RSAPrivateKey | Ed25519PrivateKey
PublicKey: TypeAlias = RSAPublicKey | Ed25519PublicKey

# How long who verifies may keep the JWKS; it is said in the answer, and asked of the next key before it signs.
PUBLISHED_BEFORE = timedelta(hours=1)
# After its last signature a key stays published for as long as what it signed lives, and clocks differ, and
# processes keep the ring in which it signs.
_STAYS = timedelta(minutes=15)
_KEPT = timedelta(minutes=1)
# A token that names an unknown key makes a process look again, and strangers make tokens as they please.
_LOOKS_AGAIN_AFTER = timedelta(seconds=5)
_LOCK = 0x6A776B73
_MODULUS_BITS = 2048


class NoKey(Unavailable):
    """503: no key to sign with can be opened."""

    default = "This server can't sign tokens: its signing keys don't open with its ENCRYPTION_KEYS. Ask an operator."


class TooSoon(Conflict):
    """409: the next key has not been published for long enough."""

    default = (
        "The next key was published less than an hour ago: who keeps the published keys may not know it yet. "
        "Wait, or rotate at once if the key that signs is no longer safe."
    )


@dataclass(frozen=True, slots=True, repr=False)
class Key:
    """A key of the ring, with its private half still sealed."""

    kid: str
    algorithm: str
    jwk: dict[str, Any]
    public: PublicKey
    sealed: Sealed
    signs_from: datetime | None
    ends_at: datetime | None

    def __repr__(self) -> str:
        return f"<Key {self.kid}>"

    def private(self) -> PrivateKey:
        """The private half, opened once per process. Raises NoKey."""
        return _opened(self.sealed)


@dataclass(frozen=True, slots=True)
class Ring:
    """All keys that are published, as they were read at a moment."""

    keys: tuple[Key, ...]
    read_at: datetime

    def signer(self, now: datetime) -> Key:
        """The key that signs: the one that began last. Raises NoKey."""
        signing = [key for key in self.published(now) if key.signs_from and key.signs_from <= now]
        if not signing:
            raise NoKey
        return max(signing, key=lambda key: (key.signs_from, key.kid))

    def published(self, now: datetime) -> list[Key]:
        """Those that verify now."""
        return [key for key in self.keys if key.ends_at is None or key.ends_at > now]

    def find(self, kid: str, now: datetime) -> Key | None:
        """The published key of this id."""
        return next((key for key in self.published(now) if key.kid == kid), None)


_kept: list[Ring] = []


def ring(*, now: datetime) -> Ring:
    """The ring, at most a minute old; made where there is none."""
    kept = _kept[0] if _kept else None
    if kept is not None and abs(now - kept.read_at) < _KEPT:
        return kept
    return _read(now)


def find(kid: str, *, now: datetime) -> Key | None:
    """The published key of this id, also one that another process has just made."""
    known = ring(now=now)
    found = known.find(kid, now)
    if found is None and abs(now - known.read_at) >= _LOOKS_AGAIN_AFTER:
        found = _read(now).find(kid, now)
    return found


def jwks(*, now: datetime) -> dict[str, list[dict[str, Any]]]:
    """The published keys as a JWK set (RFC 7517, section 5)."""
    return {"keys": [key.jwk for key in ring(now=now).published(now)]}


def forget() -> None:
    """Read the ring anew at its next use."""
    _kept.clear()


def ensure(*, now: datetime) -> int:
    """Make what is missing of a key that signs and a next one; gives how many were made."""
    with transaction.atomic():
        _lock()
        live = SigningKey.objects.exclude(ends_at__lte=now)
        made = 0
        if not live.filter(signs_from__lte=now).exists():
            _make(now, signs_from=now)
            made += 1
        if not live.filter(signs_from=None).exists():
            _make(now, signs_from=None)
            made += 1
    return made


@transaction.atomic
def rotate(*, now: datetime, at_once: bool = False, by: audit.Actor | None = None) -> str:
    """Let the next key sign and publish one after it; gives the id of the key that signs from now.

    With `at_once` also a next key that who verifies may not know yet, and what the keys before it signed is good no
    more: for when one of them is no longer safe. Raises TooSoon.
    """
    _lock()
    ensure(now=now)
    upcoming = SigningKey.objects.filter(signs_from=None, ends_at=None).order_by("created_at", "pk").first()
    assert upcoming is not None  # noqa: S101 - `ensure` has made one
    if not at_once and now - upcoming.created_at < PUBLISHED_BEFORE:
        raise TooSoon
    before = SigningKey.objects.filter(signs_from__isnull=False).exclude(ends_at__lte=now)
    if at_once:
        # Also those that an earlier rotation has left a quarter of an hour.
        before.update(ends_at=now)
    else:
        before.filter(ends_at=None).update(ends_at=now + _STAYS)
    SigningKey.objects.filter(pk=upcoming.pk).update(signs_from=now)
    ensure(now=now)
    audit.record("signing_key.rotated", actor=by, target=upcoming, details={"at_once": at_once})
    transaction.on_commit(forget)
    return upcoming.kid


def prune(*, now: datetime) -> int:
    """Delete the keys that are over; gives how many."""
    return SigningKey.objects.filter(ends_at__lte=now).delete()[0]


def _read(now: datetime) -> Ring:
    found = _ring_of_rows(now)
    if found.published(now) and _is_whole(found, now):
        _kept[:] = [found]
        return found
    made = ensure(now=now)
    found = _ring_of_rows(now)
    # What is made in somebody's transaction is gone again with it.
    if not (made and connection.in_atomic_block):
        _kept[:] = [found]
    return found


def _is_whole(found: Ring, now: datetime) -> bool:
    published = found.published(now)
    signs = any(key.signs_from is not None and key.signs_from <= now for key in published)
    return signs and any(key.signs_from is None for key in published)


def _ring_of_rows(now: datetime) -> Ring:
    rows = SigningKey.objects.exclude(ends_at__lte=now)
    return Ring(tuple(_key_of(row) for row in rows), now)


def _key_of(row: SigningKey) -> Key:
    return Key(
        kid=row.kid,
        algorithm=row.algorithm,
        jwk=row.public_jwk,
        public=_parsed(orjson.dumps(row.public_jwk)),
        sealed=row.sealed_private_key,
        signs_from=row.signs_from,
        ends_at=row.ends_at,
    )


def _make(now: datetime, *, signs_from: datetime | None) -> None:
    algorithm = settings.TOKEN_SIGNING_ALGORITHM
    private = _GENERATORS[algorithm]()
    algorithms = jwt.algorithms.get_default_algorithms()
    public: dict[str, Any] = algorithms[algorithm].to_jwk(private.public_key(), as_dict=True)
    members: dict[str, Any] = {name: public[name] for name in ("kty", "n", "e", "crv", "x") if name in public}
    kid = _thumbprint(members)
    der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    SigningKey.objects.create(
        kid=kid,
        algorithm=algorithm,
        public_jwk={**members, "kid": kid, "alg": algorithm, "use": "sig"},
        sealed_private_key=der,
        created_at=now,
        signs_from=signs_from,
    )
    logger.info("made the signing key %s", kid)


_GENERATORS: dict[str, Callable[[], PrivateKey]] = {
    "RS256": lambda: generate_private_key(public_exponent=65537, key_size=_MODULUS_BITS),
    "EdDSA": Ed25519PrivateKey.generate,
}


def _thumbprint(members: Mapping[str, str]) -> str:
    """The key's id: RFC 7638, section 3."""
    digest = hashlib.sha256(orjson.dumps(members, option=orjson.OPT_SORT_KEYS)).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@lru_cache(maxsize=16)
def _parsed(jwk: bytes) -> PublicKey:
    members = orjson.loads(jwk)
    algorithm = jwt.algorithms.get_default_algorithms()[members["alg"]]
    key: PublicKey = algorithm.from_jwk(members)
    return key


@lru_cache(maxsize=16)
def _opened(sealed: Sealed) -> PrivateKey:
    try:
        der = sealed.open()
    except KeyLost as error:
        raise NoKey from error
    key = load_der_private_key(der, password=None)
    assert isinstance(key, RSAPrivateKey | Ed25519PrivateKey)  # noqa: S101 - we made it
    return key


def _lock() -> None:
    """One at a time makes and rotates keys."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
