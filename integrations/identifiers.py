"""Which ids Nango can know: others never reach it.

A connection is addressed by two values, the integration's `unique_key` and the `connection_id`.
"""

import re

LONGEST_ID = 255
# The alphabet of a `unique_key`: it has no comma, which separates keys in Nango's filter.
_INTEGRATION_ID = re.compile(r"[A-Za-z0-9~:.@ _-]{1,255}")
_CONNECTION_ID = re.compile(r"[^\x00-\x1f\x7f]{1,255}")
# As a path segment these two mean another place (RFC 3986, section 5.2.4), even when percent-encoded.
_DOT_SEGMENTS = frozenset({".", ".."})


def is_integration_id(value: str) -> bool:
    """Whether an integration can have this id."""
    return _INTEGRATION_ID.fullmatch(value) is not None


def is_connection_id(value: str) -> bool:
    """Whether a connection can have this id and be addressed by it."""
    return value not in _DOT_SEGMENTS and _CONNECTION_ID.fullmatch(value) is not None
