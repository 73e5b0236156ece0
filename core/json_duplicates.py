"""Names that an object of a JSON text has twice: which value was meant can't be known, and orjson takes the last."""

import json
from contextlib import suppress
from typing import Any

from core.errors import Malformed

# What orjson makes of objects and arrays; asking for these types costs less than isinstance.
_HOLDING = (dict, list)


def require_names_once(raw: bytes, body: dict[str, Any]) -> None:
    """Raise Malformed when an object in `raw` has a name twice; `body` is what was read from it.

    Counting costs less than reading the text once more, and knows no depth; only what is refused is read again.
    """
    if _count_colons(raw) == _count_names(body):
        return
    with suppress(RecursionError):
        json.loads(raw, object_pairs_hook=_require_once)
    raise Malformed("A field of the body is given more than once.")


def shown(name: object) -> str:
    """A caller's own word, short and printable enough to be said back."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(name))[:60]


def _require_once(pairs: list[tuple[str, object]]) -> None:
    names: set[str] = set()
    for name, _ in pairs:
        if name in names:
            raise Malformed(f"{shown(name)}: This field is given more than once.")
        names.add(name)


def _count_colons(raw: bytes) -> int:
    """How many names a JSON text has: a colon outside of strings stands after each of them, and nowhere else."""
    without_escapes = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Between the quotes there is in turn what is outside of strings, and what is inside.
    return b"".join(without_escapes.split(b'"')[::2]).count(b":")


def _count_names(body: dict[str, Any]) -> int:
    """How many names all objects of a JSON value have together."""
    count = 0
    left: list[Any] = [body]
    while left:
        value = left.pop()
        if type(value) is dict:
            count += len(value)
            value = value.values()
        left += [part for part in value if type(part) in _HOLDING]
    return count
