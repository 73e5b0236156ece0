"""Encryption at rest: AES-256-GCM with numbered keys, bound to the place where the value lies.

A sealed value is `version (1 byte) · key number (2 bytes, big endian) · nonce (12) · ciphertext and tag`.
The place ("table.column:row") is authenticated with it, so that a value copied to another row does
not open there. The highest key number seals; every configured number opens, so that keys can be rotated.
"""

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Mapping
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

_VERSION = b"\x01"
_NONCE_BYTES = 12
_HEAD_BYTES = 3
_KEY_BYTES = 32
_LAST_KEY_NUMBER = 2**16 - 1


class CannotOpen(Exception):
    """The sealed value is damaged, lies in another place, or its key is not configured."""


class Keyring:
    """A set of numbered 32-byte keys that seals and opens values."""

    def __init__(self, keys: Mapping[int, bytes]) -> None:
        self._ciphers = {number: AESGCM(key) for number, key in keys.items()}
        self._newest = max(keys)

    def __repr__(self) -> str:
        return f"<Keyring {sorted(self._ciphers)}>"

    def seal(self, plain: bytes, *, place: str) -> bytes:
        """Encrypt `plain` for its `place`."""
        head = _VERSION + self._newest.to_bytes(2, "big")
        nonce = os.urandom(_NONCE_BYTES)
        return head + nonce + self._ciphers[self._newest].encrypt(nonce, plain, head + place.encode())

    def is_newest(self, sealed: bytes) -> bool:
        """Whether `seal` would take the key that sealed this."""
        return sealed[:_HEAD_BYTES] == _VERSION + self._newest.to_bytes(2, "big")

    def open(self, sealed: bytes, *, place: str) -> bytes:
        """Decrypt what `seal` made for the same place, or raise CannotOpen."""
        head, nonce = sealed[:_HEAD_BYTES], sealed[_HEAD_BYTES : _HEAD_BYTES + _NONCE_BYTES]
        cipher = self._ciphers.get(int.from_bytes(head[1:], "big"))
        if head[:1] != _VERSION or cipher is None:
            raise CannotOpen(f"no key opens the value at {place}")
        try:
            return cipher.decrypt(nonce, sealed[_HEAD_BYTES + _NONCE_BYTES :], head + place.encode())
        except (InvalidTag, ValueError) as error:
            raise CannotOpen(f"the value at {place} can't be opened") from error


def parse_keys(value: str) -> dict[int, bytes]:
    """Read "1:<base64 of 32 bytes>,2:…" into numbered keys, or raise ImproperlyConfigured."""
    keys: dict[int, bytes] = {}
    for entry in filter(None, (part.strip() for part in value.split(","))):
        number, _, encoded = entry.partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not number.isdecimal() or not 1 <= int(number) <= _LAST_KEY_NUMBER or len(key) != _KEY_BYTES:
            raise ImproperlyConfigured(
                "ENCRYPTION_KEYS must look like `1:<base64 of 32 random bytes>`, separated by commas."
            )
        if int(number) in keys:
            raise ImproperlyConfigured(f"ENCRYPTION_KEYS has the number {number} twice.")
        keys[int(number)] = key
    if not keys:
        raise ImproperlyConfigured("ENCRYPTION_KEYS must hold at least one key.")
    return keys


def keyring() -> Keyring:
    """The server's keyring, from ENCRYPTION_KEYS."""
    return _keyring_of(settings.ENCRYPTION_KEYS)


@lru_cache(maxsize=4)
def _keyring_of(value: str) -> Keyring:
    return Keyring(parse_keys(value))


def derived_keyring(secret: str, *, purpose: str) -> Keyring:
    """A keyring that only the holder of a random `secret` can make again (HKDF-SHA-256, RFC 5869)."""
    key = HKDF(algorithm=hashes.SHA256(), length=_KEY_BYTES, salt=None, info=purpose.encode())
    return Keyring({1: key.derive(secret.encode())})


def derived_keys(*, purpose: str) -> list[bytes]:
    """32 bytes for this purpose from each of ENCRYPTION_KEYS, the newest first (HKDF-SHA-256, RFC 5869)."""
    numbered = sorted(parse_keys(settings.ENCRYPTION_KEYS).items(), reverse=True)
    return [
        HKDF(algorithm=hashes.SHA256(), length=_KEY_BYTES, salt=None, info=purpose.encode()).derive(key)
        for _number, key in numbered
    ]


def digest(secret: str) -> bytes:
    """SHA-256 of a random secret: what is stored of tokens. Fit only for values nobody can guess."""
    return hashlib.sha256(secret.encode()).digest()


def random_hex(count: int) -> str:
    """`count` random bytes as lower-case hex characters, twice as many."""
    return secrets.token_hex(count)
