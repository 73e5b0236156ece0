"""What may be true by what was acknowledged, and the journal of all that was asked.

An answer below 400 is a promise. One of 500 and above, or none, leaves it open whether the action was done; when nobody
heard that the connection broke, it may even be done later.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

ABSENT, STARTED, STOPPED, GOING, PAUSED, MEMBER = "absent", "started", "stopped", "going", "paused", "member"


@dataclass(frozen=True)
class Answer:
    """What somebody heard; status 0 is nothing."""

    status: int
    began: float
    ended: float
    data: Any = None
    raw: Any = None
    at: float = field(default_factory=time.time)
    may_come_late: bool = False

    @property
    def is_promise(self) -> bool:
        return 200 <= self.status < 400

    @property
    def is_open(self) -> bool:
        return self.status == 0 or self.status >= 500


def promised(answers: Iterable[Answer]) -> list[Answer]:
    return [answer for answer in answers if answer.is_promise]


def at_once(*actions: Callable[[], Answer]) -> list[Answer]:
    """Do all at the same time."""
    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(lambda action: action(), actions))


class Thing:
    """Something that somebody made, which may be in any of the states in `may`.

    Its rows in the audit trail are those about its name, or those with the details that are given.
    """

    def __init__(self, name: str, may: str = ABSENT, **details: str) -> None:
        self.name, self.details = name, details
        self.may, self._late = {may}, set[str]()
        # The least and the most rows by action.
        self.least, self.most = Counter[str](), Counter[str]()

    def hear(self, *answers: Answer, then: str, audited: str = "") -> None:
        """Take in what came of one action; several answers are of the same one, asked for more than once at a time."""
        if any(answer.may_come_late for answer in answers):
            self._late.add(then)
        if promised(answers):
            self.may = {then} | self._late
        elif any(answer.is_open for answer in answers):
            self.may |= {then} | self._late
        if audited:
            self.owe(audited, *answers)

    def owe(self, action: str, *answers: Answer, maybe: bool = False) -> None:
        """Expect a row, of one action; `maybe` when what was acknowledged may have been so before."""
        kept, tried = bool(promised(answers)), any(answer.is_open for answer in answers)
        self.least[action] += kept and not maybe
        self.most[action] += kept or tried

    def found(self) -> None:
        """It was there just now."""
        self.may = (self.may - {ABSENT}) | self._late

    def settle(self) -> None:
        """Everybody who was still at something has been killed: nothing is done late any more."""
        self._late.clear()

    def miscounted(self, audit: list[dict[str, Any]]) -> list[str]:
        """What is wrong with its rows."""
        rows = [
            row["action"]
            for row in audit
            if (self.details.items() <= row["details"].items() if self.details else row["target_id"] == self.name)
        ]
        return [
            f"{rows.count(action)} rows {action} of {self.name}, and not {self.least[action]} to {most}"
            for action, most in self.most.items()
            if not self.least[action] <= rows.count(action) <= most
        ]

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
        self._began = time.monotonic()
        self.lines: list[str] = []
        self.complaints: list[str] = []
        self.tokens: list[Token] = []
        self.secrets: dict[str, str] = {}
        # Of "sign out everywhere", by login; one that is asked for right now has no answer yet.
        self.ends: dict[str, list[Answer]] = {}
        self._lock, self.statuses = threading.Lock(), Counter[int]()

    def count(self, status: int) -> None:
        with self._lock:
            self.statuses[status] += 1

    def note(self, who: str, what: str) -> None:
        self.lines.append(f"{time.monotonic() - self._began:6.2f} {who}: {what}")

    def complain(self, who: str, what: str) -> None:
        self.note(who, f"!!! {what}")
        self.complaints.append(f"{who}: {what}")

    def keep_secret(self, name: str, value: str) -> str:
        self.secrets[name] = value
        return value

    def fate_of(self, token: Token, answer: Answer) -> str:
        """Whether the token was "alive", "dead" or "open" for a request with this answer."""
        fates = {_fate(token, end, answer) for end in [*token.ends, *self.ends.get(token.login, [])]}
        return "dead" if "dead" in fates else "open" if "open" in fates else "alive"


def _fate(token: Token, end: Answer, answer: Answer) -> str:
    if not (end.is_promise or end.is_open) or end.began > answer.ended or end.ended < token.asked_at:
        return "alive"
    return "dead" if end.is_promise and end.ended < answer.began and end.began > token.got_at else "open"
