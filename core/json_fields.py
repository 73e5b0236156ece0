"""Reading fields of Fly's JSON: strictly where used, blind to the rest.

Every reader raises Unreadable when a field is missing or of another kind.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

Fields = Mapping[str, object]


class Unreadable(Exception):
    """An answer lacks a field or has it in another kind; the message names the field, not its value."""


def an_object(value: object, name: str) -> Fields:
    """The value as a JSON object."""
    if not isinstance(value, dict):
        raise Unreadable(name)
    return value


def optional_object(fields: Fields, name: str) -> Fields:
    """A field that is an object, null or absent; empty for the last two."""
    value = fields.get(name)
    return {} if value is None else an_object(value, name)


def a_list(value: object, name: str) -> list[object]:
    """The value as a JSON array. Fly, written in Go, says null for an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise Unreadable(name)
    return value


def items(fields: Fields, name: str) -> list[object]:
    """A field that is a list; it must be there, be it as null."""
    if name not in fields:
        raise Unreadable(name)
    return a_list(fields[name], name)


def text(fields: Fields, name: str) -> str:
    """A field that is a string with something in it."""
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise Unreadable(name)
    return value


def optional_text(fields: Fields, name: str) -> str:
    """A field that is a string, null or absent; "" for the last two."""
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unreadable(name)
    return value


def whole(fields: Fields, name: str) -> int:
    """A field that is a whole number."""
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Unreadable(name)
    return value


def moment(fields: Fields, name: str) -> datetime:
    """A field that is an ISO 8601 time, in UTC."""
    try:
        found = datetime.fromisoformat(text(fields, name))
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Unreadable(name) from error


def optional_moment(fields: Fields, name: str) -> datetime | None:
    """A time, or None when it is null, absent or empty."""
    return moment(fields, name) if fields.get(name) else None
