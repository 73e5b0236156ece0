"""The names of machines: the one its owner gave it, the one it has at Fly, and its members' on the machine."""

import re
import secrets
import uuid

_FLY_PREFIX = "crayon-dev-"
_FLY_NAME = re.compile(r"crayon-dev-[0-9a-f]{8}\Z")
_FLY_RANDOM_BYTES = 4
_LINUX_USER_LENGTH = 16
_DATABASE_NAME = re.compile(r"crayon_dev_[0-9a-f]{8}\Z")


def new_fly_name() -> str:
    """A name for a new machine's app at Fly: `crayon-dev-` and eight hex characters, as the contract has it."""
    return f"{_FLY_PREFIX}{secrets.token_hex(_FLY_RANDOM_BYTES)}"


def is_fly_name(name: str) -> bool:
    """Whether a machine's app at Fly may be called so."""
    return _FLY_NAME.match(name) is not None


def linux_user_of(user_id: uuid.UUID) -> str:
    """What a person is called on machines: `user-` and the first 16 letters and digits of their id."""
    return f"user-{user_id.hex[:_LINUX_USER_LENGTH]}"


def database_name_of(fly_name: str) -> str:
    """What the role and the schema of a machine are called in the data database: `crayon_dev_…`."""
    return fly_name.replace("-", "_")


def fly_name_of(database_name: str) -> str:
    """The machine's name at Fly, from what its database is called."""
    return database_name.replace("_", "-")


def is_database_name(name: str) -> bool:
    """Whether `database_name_of` may have given this name: everything else in the data database is not ours."""
    return _DATABASE_NAME.match(name) is not None
