"""Faults that tests order: an upstream that fails, is slow, or cuts the connection."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal, NoReturn

TARGETS = ("github", "nango", "fly")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "*"})
_FIELDS = frozenset({"target", "match", "status", "delay", "drop", "body", "times", "headers", "content_type"})
_HIGHEST_STATUS = 599
_LOWEST_STATUS = 200
_LONGEST_DELAY = 600.0


class InvalidFaultError(ValueError):
    """The order for a fault makes no sense; the message says why."""


@dataclass(slots=True)
class Fault:
    """One ordered fault. `left` is None when it holds until it is cleared."""

    target: str
    method: str
    path: str
    status: int | None
    delay: float
    drop: Literal["before", "after"] | None
    body: object
    has_body: bool
    left: int | None
    headers: dict[str, str]
    content_type: str | None

    def meets(self, *, target: str, method: str, paths: tuple[str, ...]) -> bool:
        """Say whether a request to one of `paths` (names of one place) is meant."""
        return (
            self.target == target
            and self.method in ("*", method)
            and any(_path_meets(self.path, path) for path in paths)
        )

    @property
    def answers(self) -> bool:
        """Say whether the fault answers in place of the stand-in."""
        return self.status is not None or self.has_body

    def as_json(self) -> dict[str, object]:
        """Give the fault as the control interface shows it."""
        return {
            "target": self.target,
            "match": f"{self.method} {self.path}",
            "status": self.status,
            "delay": self.delay,
            "drop": self.drop,
            "body": self.body,
            "times": self.left,
        }


@dataclass
class Faults:
    """The faults in force; the one ordered first is met first."""

    ordered: list[Fault] = field(default_factory=list)

    def take(self, *, target: str, method: str, paths: tuple[str, ...]) -> Fault | None:
        """Use up one turn of the first fault that means this request."""
        for fault in self.ordered:
            if fault.meets(target=target, method=method, paths=paths):
                if fault.left is not None:
                    fault.left -= 1
                    if fault.left == 0:
                        self.ordered.remove(fault)
                return fault
        return None


def _path_meets(pattern: str, path: str) -> bool:
    """Match by whole segments from the front; `*` globs the rest, a closing `$` means exactly."""
    if pattern.endswith("$"):
        return path == pattern[:-1]
    if "*" in pattern:
        return fnmatchcase(path, pattern)
    stem = pattern.rstrip("/")
    return path == stem or path.startswith(stem + "/") or not stem


def fault_from_json(order: object) -> Fault:
    """Read one order, `{"target", "match"?, "status"?, "delay"?, "drop"?, "body"?, "times"?}`.

    Raises InvalidFaultError on anything unknown or out of bounds: a misspelt fault would make a
    test pass for the wrong reason.
    """
    if not isinstance(order, dict):
        _refuse("A fault is a JSON object.")
    if unknown := set(order) - _FIELDS:
        _refuse(f"Unknown fields: {', '.join(sorted(map(str, unknown)))}.")
    method, path = _read_match(order.get("match"))
    fault = Fault(
        target=_read_target(order.get("target")),
        method=method,
        path=path,
        status=_read_status(order.get("status")),
        delay=_read_delay(order.get("delay")),
        drop=_read_drop(order.get("drop")),
        body=order.get("body"),
        has_body="body" in order,
        left=_read_times(order.get("times", 1)),
        headers=_read_headers(order.get("headers")),
        content_type=order.get("content_type"),
    )
    if not (fault.answers or fault.delay or fault.drop):
        _refuse("A fault needs status, delay, drop or body.")
    return fault


def _refuse(sentence: str) -> NoReturn:
    raise InvalidFaultError(sentence)


def _read_target(value: object) -> str:
    if value not in TARGETS:
        _refuse(f"target is one of {', '.join(TARGETS)}.")
    return str(value)


def _read_match(value: object) -> tuple[str, str]:
    if value is None:
        return "*", "/"
    if not isinstance(value, str):
        _refuse("match is a string such as 'GET /connections'.")
    method, _, path = value.strip().rpartition(" ")
    method = method.strip().upper() or "*"
    if method not in _METHODS or not path.startswith(("/", "*")):
        _refuse("match is a string such as 'GET /connections'.")
    return method, path


def _read_status(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or not _LOWEST_STATUS <= value <= _HIGHEST_STATUS:
        _refuse("status is a whole number from 200 to 599.")
    return value


def _read_delay(value: object) -> float:
    if value is None:
        return 0.0
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= _LONGEST_DELAY:
        _refuse("delay is a number of seconds from 0 to 600.")
    return float(value)


def _read_drop(value: object) -> Literal["before", "after"] | None:
    if value is None:
        return None
    if value == "before":
        return "before"
    if value == "after":
        return "after"
    _refuse("drop is 'before' or 'after'.")


def _read_times(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        _refuse("times is a whole number; 0 or null means until cleared.")
    return value or None


def _read_headers(value: object) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        _refuse("headers is a JSON object of strings.")
    return {str(name): str(text) for name, text in value.items()}
