"""What API keys look like: a prefix that names the kind, 256 random bits, and a checksum that tells a typing error.

The checksum is no secret and no protection: it lets scanners of leaked secrets, tools and this server know a key that
can't be one without asking anybody.
"""

import re
import secrets
import zlib

PERSONAL = "crayon_sk_"
WORKER = "crayon_wk_"
# How much of a key is kept to be shown: the prefix, and enough to tell two keys of one person apart.
SHOWN = 16
_RANDOM_BYTES = 32
_CHECKSUM_LENGTH = 8
_REST = re.compile(r"[A-Za-z0-9_-]{43}[0-9a-f]{8}")


def new(prefix: str) -> str:
    """A key that nobody has had before."""
    text = prefix + secrets.token_urlsafe(_RANDOM_BYTES)
    return text + checksum(text)


def checksum(text: str) -> str:
    """CRC-32 of what stands before it, the prefix included, as 8 hex characters."""
    return f"{zlib.crc32(text.encode()):08x}"


def is_whole(key: str, prefix: str) -> bool:
    """Whether this could be a key with that prefix: nothing is missing, added or mistyped."""
    if not key.startswith(prefix) or _REST.fullmatch(key, len(prefix)) is None:
        return False
    return checksum(key[:-_CHECKSUM_LENGTH]) == key[-_CHECKSUM_LENGTH:]
