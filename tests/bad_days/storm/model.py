"""What may be true by what was acknowledged, and the journal of all that was asked.

An answer below 400 is a promise. One of 500 and above, or none, leaves it open whether the deed was done; when nobody
heard that the connection broke, it may even be done later.
"""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

ABSENT, STARTED, STOPPED, GOING, PAUSED = "absent", "started", "stopped", "going", "paused"


@dataclass(frozen=True)
class Answer:
    """What somebody heard; status 0 is nothing."""

    status: int
    began: float
    ended: float
    at: float = field(default_factory=time.time)
    data: Any = None
    may_come_late: bool = False

    @property
    def is_promise(self) -> bool:
        return 200 <= self.status < 400

    @property
    def is_open(self) -> bool:
        return self.status == 0 or self.status >= 500


class Thing:
    """Something that somebody made, which may be in any of the states in `may`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.may, self._late = {ABSENT}, set[str]()
        # What must be in the audit trail: the least and the most rows by action.
        self.least, self.most = Counter[str](), Counter[str]()

    def hear(self, *answers: Answer, then: str, audited: str = "") -> None:
        """Take in what came of one deed; several answers are of the same one, asked for more than once at a time."""
        promised = any(answer.is_promise for answer in answers)
        tried = [answer for answer in answers if answer.is_open]
        if any(answer.may_come_late for answer in tried):
            self._late.add(then)
        if promised:
            self.may = {then} | self._late
        elif tried:
            self.may |= {then} | self._late
        if audited:
            self.least[audited] += promised
            self.most[audited] += promised or bool(tried)

    def settle(self) -> None:
        """Everybody who was still at something has been killed: nothing is done late any more."""
        self._late.clear()

    @property
    def is_there(self) -> bool:
        """Whether it surely is."""
        return ABSENT not in self.may

    @property
    def may_be_there(self) -> bool:
        """Whether it is worth asking for."""
        return self.may != {ABSENT}


@dataclass
class Token:
    """An access token, and when its login was begun and the token heard of."""

    value: str = field(repr=False)
    login: str
    host: str
    asked_at: float
    got_at: float
    ends: list[Answer] = field(default_factory=list)


class Journal:
    """All answers, what is wrong with them, the tokens, and every secret that went by."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.began = time.monotonic()
        self.lines: list[str] = []
        self.complaints: list[str] = []
        self.tokens: list[Token] = []
        self.secrets: dict[str, str] = {}
        # Of "sign out everywhere", by login; one that is asked for right now has no answer yet.
        self.ends: dict[str, list[Answer]] = {}
        self.statuses = Counter[int]()

    def note(self, who: str, what: str) -> None:
        with self._lock:
            self.lines.append(f"{time.monotonic() - self.began:6.2f} {who}: {what}")

    def complain(self, who: str, what: str) -> None:
        self.note(who, f"!!! {what}")
        with self._lock:
            self.complaints.append(f"{who}: {what}")

    def keep_secret(self, name: str, value: str) -> str:
        with self._lock:
            self.secrets[name] = value
        return value

    def fate_of(self, token: Token, *, began: float, ended: float) -> str:
        """Whether the token is "alive", "dead" or "open" for a request of this time."""
        fates = {_fate(token, end, began, ended) for end in [*token.ends, *self.ends.get(token.login, [])]}
        return "dead" if "dead" in fates else "open" if "open" in fates else "alive"


def _fate(token: Token, end: Answer, began: float, ended: float) -> str:
    if not (end.is_promise or end.is_open) or end.began > ended or end.ended < token.asked_at:
        return "alive"
    return "dead" if end.is_promise and end.ended < began and end.began > token.got_at else "open"
