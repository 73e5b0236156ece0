"""Strict checks of bodies and queries, with the messages of the checker that Nango uses (zod)."""

import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from multidict import MultiMapping

from sandbox.nango import clock
from sandbox.nango.errors import Issue, NangoError, issue

Path = tuple[str, ...]
Check = Callable[[object, Path], list[Issue]]

_NESTED = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)\Z")
_EMAIL = re.compile(
    r"(?!\.)(?!.*\.\.)[A-Za-z0-9_'+\-.]*[A-Za-z0-9_+-]@(?:[A-Za-z0-9][A-Za-z0-9-]*\.)+[A-Za-z]{2,}\Z", re.ASCII
)
_TRUE = frozenset({"true", "1", "yes", "on", "y", "enabled"})
_FALSE = frozenset({"false", "0", "no", "off", "n", "disabled"})


class _Missing:
    """Stands for a key that was not sent."""


MISSING = _Missing()


def parse_query(sent: MultiMapping[str]) -> dict[str, object]:
    """Read a query as Nango does: `tags[a]=1` nests, a repeated key becomes a list."""
    parsed: dict[str, object] = {}
    for name, value in sent.items():
        _place(parsed, _steps(name), value)
    return parsed


def check_query(check: Check, query: object) -> None:
    """Raise the 400 of a query that `check` refuses."""
    if issues := check(query, ()):
        raise NangoError(400, "invalid_query_params", issues=issues)


def check_body(check: Check, body: object) -> None:
    """Raise the 400 of a body that `check` refuses."""
    if issues := check(body, ()):
        raise NangoError(400, "invalid_body", issues=issues)


def check_path(check: Check, parts: object) -> None:
    """Raise the 400 of a path whose variable parts `check` refuses."""
    if issues := check(parts, ()):
        raise NangoError(400, "invalid_uri_params", issues=issues)


def is_true(value: object) -> bool:
    """Read a flag of a query that was checked before."""
    return isinstance(value, str) and value.lower() in _TRUE


def record(required: Mapping[str, Check] | None = None, optional: Mapping[str, Check] | None = None) -> Check:
    """Check an object of known keys; one unknown key is one too many."""
    needed, allowed = required or {}, optional or {}

    def check(value: object, path: Path) -> list[Issue]:
        if not isinstance(value, dict):
            return [wrong_type("object", value, path)]
        issues: list[Issue] = []
        for name, inner in needed.items():
            issues += inner(value.get(name, MISSING), (*path, name))
        for name, inner in allowed.items():
            if name in value:
                issues += inner(value[name], (*path, name))
        if unknown := [name for name in value if name not in needed and name not in allowed]:
            plural = "s" if len(unknown) > 1 else ""
            names = ", ".join(f'"{name}"' for name in unknown)
            issues.append(issue("unrecognized_keys", f"Unrecognized key{plural}: {names}", path))
        return issues

    return check


def text(*, least: int = 0, most: int | None = None, form: re.Pattern[str] | None = None) -> Check:
    """Check a string by its length and form."""

    def check(value: object, path: Path) -> list[Issue]:
        if not isinstance(value, str):
            return [wrong_type("string", value, path)]
        issues = []
        length = _length(value)
        if length < least:
            message = f"Too small: expected string to have >={least} characters"
            issues.append(issue("too_small", message, path))
        if most is not None and length > most:
            message = f"Too big: expected string to have <={most} characters"
            issues.append(issue("too_big", message, path))
        if form and not form.fullmatch(value):
            message = f"Invalid string: must match pattern /^{form.pattern}$/"
            issues.append(issue("invalid_format", message, path))
        return issues

    return check


def _length(value: str) -> int:
    """Count as JavaScript does: in UTF-16 units, two for what lies beyond U+FFFF."""
    return len(value.encode("utf-16-le", "surrogatepass")) // 2


def email(value: object, path: Path) -> list[Issue]:
    """Check an e-mail address."""
    if not isinstance(value, str):
        return [wrong_type("string", value, path)]
    return [] if _EMAIL.match(value) else [issue("invalid_format", "Invalid email address", path)]


def public_url(value: object, path: Path) -> list[Issue]:
    """Check an address for webhooks: empty clears; this machine and private hosts are refused."""
    if not isinstance(value, str):
        return [wrong_type("string", value, path)]
    host = urlsplit(value).hostname or ""
    private = re.match(r"(localhost|127\.|10\.|192\.168\.|169\.254\.|172\.(1[6-9]|2\d|3[01])\.|\[)", host)
    if value and (not value.startswith(("http://", "https://")) or not host or private or ":" in host):
        return [issue("invalid_format", "Invalid URL", path)]
    return []


def moment(value: object, path: Path) -> list[Issue]:
    """Check a point in time."""
    if not isinstance(value, str):
        return [wrong_type("string", value, path)]
    try:
        clock.read(value)
    except ValueError:
        return [issue("invalid_format", "Invalid ISO datetime", path)]
    return []


def whole_number(*, least: int, most: int | None = None) -> Check:
    """Check a whole number in a query, where it comes as text."""

    def check(value: object, path: Path) -> list[Issue]:
        if not isinstance(value, str) or not re.fullmatch(r"\s*[+-]?\d{1,15}\s*", value):
            return [issue("invalid_type", "Invalid input: expected number, received NaN", path)]
        number = int(value)
        if number < least:
            return [issue("too_small", f"Too small: expected number to be >={least}", path)]
        if most is not None and number > most:
            return [issue("too_big", f"Too big: expected number to be <={most}", path)]
        return []

    return check


def flag(value: object, path: Path) -> list[Issue]:
    """Check a yes or no in a query."""
    if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
        return []
    if not isinstance(value, str):
        return [wrong_type("string", value, path)]
    options = "|".join(f'"{word}"' for word in (*sorted(_TRUE), *sorted(_FALSE)))
    return [issue("invalid_value", f"Invalid option: expected one of {options}", path)]


def list_of(inner: Check) -> Check:
    """Check an array; indexes are spelt as strings in the path, as Nango does."""

    def check(value: object, path: Path) -> list[Issue]:
        if not isinstance(value, list):
            return [wrong_type("array", value, path)]
        return [found for i, item in enumerate(value) for found in inner(item, (*path, str(i)))]

    return check


def mapping(inner: Check) -> Check:
    """Check an object with keys of the caller's choice."""

    def check(value: object, path: Path) -> list[Issue]:
        if not isinstance(value, dict):
            return [wrong_type("record", value, path)]
        return [found for key, item in value.items() for found in inner(item, (*path, key))]

    return check


def anything(value: object, path: Path) -> list[Issue]:  # noqa: ARG001 - a Check that never fails
    """Accept any value."""
    return []


def wrong_type(expected: str, value: object, path: Path) -> Issue:
    """Name a value of the wrong type, or one that is missing."""
    message = f"Invalid input: expected {expected}, received {_type_name(value)}"
    return issue("invalid_type", message, path)


def _type_name(value: object) -> str:
    if value is MISSING:
        return "undefined"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    names = {str: "string", int: "number", float: "number", list: "array", dict: "object"}
    return names[type(value)]


def _steps(name: str) -> list[str]:
    if not (nested := _NESTED.match(name)):
        return [name]
    return [nested[1], *re.findall(r"\[([^\[\]]*)\]", nested[2])]


def _place(into: dict[str, object], steps: list[str], value: object) -> None:
    name, *rest = steps
    held = into.get(name, MISSING)
    if rest == [""]:
        into[name] = [*(held if isinstance(held, list) else []), value]
    elif rest:
        inner = held if isinstance(held, dict) else {}
        into[name] = inner
        _place(inner, rest, value)
    elif held is MISSING:
        into[name] = value
    else:
        into[name] = [*held, value] if isinstance(held, list) else [held, value]
