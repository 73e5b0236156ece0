"""What the stand-ins were asked, so that a test can count upstream calls."""

import hashlib
import secrets
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

# Never kept: a test that searches what the sandbox recorded must not find secrets by accident.
_LEFT_OUT = frozenset({"authorization", "cookie", "fly-machine-lease-nonce"})
_KEPT = 5000
_KEY = secrets.token_bytes(32)


def fingerprint(body: bytes) -> str:
    """Give what stands for a body in the journal, as long as this process runs."""
    return hashlib.blake2b(body, key=_KEY, digest_size=8).hexdigest() if body else ""


@dataclass(slots=True)
class Entry:
    """One request. `status` is None while it is being answered, or when it was cut.

    `at` is when it came, in seconds of a clock that only goes forward; `retry_after` is that header of the answer.
    `body` is the same for bodies that are the same, and tells nothing else of them.
    """

    number: int
    target: str
    method: str
    path: str
    query: str
    headers: dict[str, str]
    at: float = field(default_factory=time.monotonic)
    status: int | None = None
    retry_after: str | None = None
    body: str = ""
    faulted: bool = False

    def as_json(self) -> dict[str, object]:
        """Give the entry as the control interface shows it."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass
class Journal:
    """The last few thousand requests of all targets, oldest first."""

    entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=_KEPT))
    count: int = 0

    def record(self, *, target: str, method: str, path: str, query: str, headers: Mapping[str, str]) -> Entry:
        """Note that a request came; the caller fills in the status later."""
        self.count += 1
        kept = {name.lower(): value for name, value in headers.items() if name.lower() not in _LEFT_OUT}
        entry = Entry(number=self.count, target=target, method=method, path=path, query=query, headers=kept)
        self.entries.append(entry)
        return entry

    def clear(self) -> None:
        """Forget all requests."""
        self.entries.clear()
