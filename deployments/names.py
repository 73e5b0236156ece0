"""The names of apps: the one its owner gave it, and the one it has at Fly."""

import re
import secrets

LONGEST_APP_NAME = 63
# At the very end, not before a last line break, as `$` would have it.
_APP_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}\Z")
_FLY_PREFIX = "crayon-"
_FLY_RANDOM_BYTES = 8


def is_app_name(name: str) -> bool:
    """Whether a person may call an app so: `^[a-z][a-z0-9-]{0,62}$`."""
    return _APP_NAME.match(name) is not None


def new_fly_name() -> str:
    """A name for a new app at Fly, where names are one space for everybody: `crayon-` and 64 random bits.

    It says nothing about the app or its owner, and can't be guessed.
    """
    return f"{_FLY_PREFIX}{secrets.token_hex(_FLY_RANDOM_BYTES)}"


def looks_like_ours(fly_name: str) -> bool:
    """Whether an app at Fly is named as this kind of server names them. That alone proves nothing."""
    return fly_name.startswith(_FLY_PREFIX)
