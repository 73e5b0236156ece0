"""Where Nango's cloud is, and which ids Nango can know: others never reach it.

A connection is addressed by two values, the integration's `unique_key` and the `connection_id`.
"""

import re

CLOUD_HOST = "api.nango.dev"
LONGEST_ID = 255
_EMAIL = re.compile(r"(?!\.)[A-Za-z0-9_'+.-]{0,254}[A-Za-z0-9_+-]@(?:[A-Za-z0-9][A-Za-z0-9-]*\.)+[A-Za-z]{2,}")
# The alphabet of a `unique_key`: it has no comma, which separates keys in Nango's filter.
_INTEGRATION_ID = re.compile(r"[A-Za-z0-9~:.@ _-]{1,255}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# What a connection is found by. An import takes more, and what it then makes can be neither read nor deleted.
_ADDRESSABLE = re.compile(r"""[A-Za-z0-9,.;:=+~\[\]|@${}"'\\/_ -]{1,255}""")
ADDRESSABLE_RULE = (
    """Use letters, digits, spaces and , . ; : = + ~ [ ] | @ $ { } " ' \\ / _ - only: """
    "by other characters Nango finds no connection again."
)
# As a path segment these two mean another place (RFC 3986, section 5.2.4), even when percent-encoded.
_DOT_SEGMENTS = frozenset({".", ".."})


def is_integration_id(value: str) -> bool:
    """Whether an integration can have this id."""
    return _INTEGRATION_ID.fullmatch(value) is not None


def is_connection_id(value: str) -> bool:
    """Whether a connection can have this id at all."""
    fits = bool(value.strip()) and length_at_nango(value) <= LONGEST_ID
    return fits and value not in _DOT_SEGMENTS and _CONTROL.search(value) is None


def is_addressable(value: str) -> bool:
    """Whether Nango finds a connection by this id, so that it can be read, renewed and deleted."""
    return _ADDRESSABLE.fullmatch(value) is not None and is_connection_id(value)


def is_email_for_nango(value: str) -> bool:
    """Whether Nango takes this for an e-mail address; it is narrower than those who hand addresses out.

    One that it refuses fails the whole call that has it among its tags.
    """
    return len(value) <= LONGEST_ID and ".." not in value and _EMAIL.fullmatch(value) is not None


def length_at_nango(value: str) -> int:
    """How long a text is for Nango: JavaScript counts UTF-16 units, two for what lies beyond U+FFFF."""
    return len(value.encode("utf-16-le", "surrogatepass")) // 2


def cut_for_nango(value: str, *, most: int) -> str:
    """As much of a text as fits into so many of those units, without half a character at its end."""
    return value.encode("utf-16-le", "surrogatepass")[: 2 * most].decode("utf-16-le", "ignore")
