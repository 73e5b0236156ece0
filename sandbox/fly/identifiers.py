"""Ids as Fly spells them."""

import secrets
import time

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LOWER = "0123456789abcdefghijkmnopqrstuvwxyz"
_ULID_LENGTH = 26
_RANDOM_BITS = 80


def ulid() -> str:
    """Make a ULID: 48 bits of milliseconds and 80 random ones, in Crockford's base 32."""
    number = (time.time_ns() // 1_000_000) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    return "".join(_CROCKFORD[number >> (5 * place) & 31] for place in reversed(range(_ULID_LENGTH)))


def machine_id() -> str:
    """Make the id of a machine: 14 hex digits."""
    return secrets.token_hex(7)


def volume_id() -> str:
    """Make the id of a volume: `vol_` and 16 letters or digits."""
    return "vol_" + "".join(secrets.choice(_LOWER) for _ in range(16))


def short_id() -> str:
    """Make the id of an app: 16 letters or digits."""
    return "".join(secrets.choice(_LOWER) for _ in range(16))


def request_id() -> str:
    """Make the id of a request: a ULID and the region that answered."""
    return f"{ulid()}-iad"


def trace_id() -> str:
    """Make the id of a trace, as OpenTelemetry has it."""
    return secrets.token_hex(16)


def span_id() -> str:
    """Make the id of a span."""
    return secrets.token_hex(8)
