"""People with their browser and their tool, who do one thing after another, as a seeded generator tells them."""

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import urllib3

from tests.resilience.storm.model import Answer, Journal, Token, at_once
from tests.resilience.storm.world import World
from tests.resilience.web import WebBrowser

_PATIENCE_SECONDS = 12
_AT_MOST_BETWEEN = 0.35


class Lost(Exception):
    """Nobody heard an answer that could be gone on with; the one that was heard, if any."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.answer = answer


class Person:
    """Somebody who signs in, logs a tool in, and looks at every answer they get."""

    def __init__(self, world: World, journal: Journal, login: str, name: str, seed: str) -> None:
        self.world, self.journal, self.login, self.name = world, journal, login, name
        self.random = random.Random(f"{seed} {name}")
        self.token: Token | None = None
        self.browser = WebBrowser(self)  # type: ignore[arg-type]
        self._address = f"10.0.{len(name)}.{1 + sum(map(ord, name)) % 200}"
        self._count = 0

    def number(self) -> int:
        """Another one each time."""
        self._count += 1
        return self._count

    def complain(self, what: str) -> None:
        self.journal.complain(self.name, what)

    def keep(self, what: str, secret: str = "") -> str:
        """Remember a secret, else a new one, which must be written nowhere."""
        secret = secret or f"fake-{self.random.random()}"
        return self.journal.keep_secret(f"{what} {self.number()} of {self.name}", secret)

    def live(self, over: threading.Event) -> None:
        try:
            while not over.is_set():
                if self.token is None:
                    self.log_in()
                else:
                    self.choose(self.actions())()
                over.wait(self.random.uniform(0.05, _AT_MOST_BETWEEN))
        except Exception as error:  # noqa: BLE001 - told to the test
            self.complain(f"this test crashed: {error!r}")

    def actions(self) -> dict[Callable[[], None], int]:
        """What they may do, and how often."""
        raise NotImplementedError

    def choose(self, actions: dict[Any, int]) -> Any:
        return self.random.choices(list(actions), weights=list(actions.values()))[0]

    # With the tool.

    def ask(self, method: str, path: str, sent: Any = None, **options: Any) -> Answer:
        """Ask the API with the tool's token, which must work unless somebody ended it."""
        if (token := self.token) is None:
            return Answer(401, time.monotonic(), time.monotonic())
        if sent is not None:
            options["json"] = sent
        answer = self.call(method, path, token=token.value, **options)
        fate = self.journal.fate_of(token, answer)
        if answer.status == 401:
            if fate == "alive":
                self.complain(f"{method} {path}: a token that nobody ended was refused")
            self.token = None
        elif answer.is_promise and fate == "dead":
            self.complain(f"{method} {path}: a token that was ended works")
        return answer

    def ask_maybe_twice(self, method: str, path: str, sent: Any = None, *, twice: float = 0.2) -> list[Answer]:
        """The same question, at times twice at once, as impatient people and retrying tools do."""
        times = 2 if self.random.random() < twice else 1
        return at_once(*[lambda: self.ask(method, path, sent)] * times)

    def call(self, method: str, path: str, **options: Any) -> Answer:
        began = time.monotonic()
        options["headers"] = options.get("headers", {}) | {"Fly-Client-IP": self._address}
        what = f"{method} {path.partition('?')[0]} {_told(options)}"
        try:
            raw = self.world.server.request(method, path, timeout=_PATIENCE_SECONDS, **options)
        except urllib3.exceptions.HTTPError as error:
            late = isinstance(error, urllib3.exceptions.ReadTimeoutError)
            answer = Answer(0, began, time.monotonic(), may_come_late=late)
            self.journal.note(self.name, f"{what} -> {type(error).__name__}")
        else:
            body = _read(raw)
            answer = Answer(raw.status, began, time.monotonic(), data=body.get("data"), raw=raw)
            self.journal.note(self.name, f"{what} -> {raw.status} {body.get('error', '')}")
            self._look_at(what, raw, body)
        self.journal.count(answer.status)
        return answer

    def _look_at(self, what: str, raw: Any, body: dict[str, Any]) -> None:
        """Complain of a plain 500, and of more than that without a sentence."""
        sentence = body.get("error") or raw.data.decode(errors="replace")
        if raw.status == 500 or b"Traceback" in raw.data:
            self.complain(f"{what}: a plain {raw.status}")
        elif raw.status > 500 and (raw.status not in {502, 503, 504} or "." not in sentence):
            self.complain(f"{what}: {raw.status} without a sentence")

    # With the browser.

    def request(self, method: str, path: str, **options: Any) -> Any:
        """For the browser: the answer itself. Raises Lost."""
        answer = self.call(method, path, **options)
        if answer.is_open:
            raise Lost(answer)
        return answer.raw

    def press(self, path: str, action: str, *, times: int = 1, **fields: str) -> list[Answer]:
        """Press a button of a page, so many times at once; no answers when they didn't get that far."""
        try:
            page = self.browser.get(path)
            if "/auth/sign-in" in page.location or b'action="/auth/github"' in page.content:
                self.sign_in()
                page = self.browser.get(path)
        except Lost:
            return []
        if f'action="{action}"'.encode() not in page.content:
            return []

        def submit() -> Answer:
            began = time.monotonic()
            try:
                told = self.browser.press(page, action, **fields)
            except Lost as lost:
                return lost.answer or Answer(0, began, time.monotonic())
            # Somebody else of this name was quicker to sign out: this browser is asked to sign in and come back.
            status = 401 if told.location.startswith("/auth/sign-in?") else told.status
            return Answer(status, began, time.monotonic(), data=told.location)

        return at_once(*[submit] * times)

    def sign_in(self) -> None:
        """Sign the browser in with GitHub. Raises Lost."""
        self.browser.cookies.clear()
        try:
            answer = self.browser.sign_in(self.login)
        except (AssertionError, urllib3.exceptions.HTTPError) as error:
            raise Lost from error
        if answer.status == 302:
            self.keep("session", self.browser.cookies["session"])
            return
        overtaken = answer.status == 409 and b"in another window" in answer.content
        # Signed out everywhere just then.
        ended = answer.status == 400 and self.journal.ends.get(self.login)
        if not overtaken and not ended:
            self.complain(f"signing in was answered with {answer.status}")
        raise Lost

    def log_in(self, *, tries: int = 1) -> bool:
        """Log the tool in: a code, a person's decision, a token. Says whether it came to that."""
        self.token = None
        for _ in range(tries):
            self._log_in()
            if self.token is not None:
                return True
        if tries > 1:
            self.complain("can't log in")
        return False

    def _log_in(self) -> None:
        host, began = f"{self.name}-{self.number()}", time.monotonic()
        answer = self.call("POST", "/api/auth/cli/session", json={"clientName": "storm", "hostname": host})
        if not answer.is_promise:
            return
        code, secret = answer.data["code"], self.keep("secret", answer.data["secret"])
        decided = self.press(f"/auth/cli?cli_code={code}", "/auth/cli", decision="approve")
        for _ in range(3 if decided else 0):
            answer = self.call("GET", f"/api/auth/cli/check?code={code}&secret={secret}")
            if not answer.is_open:
                break
        if not decided or not answer.is_promise:
            return
        if answer.data["status"] == "approved":
            value = self.keep("token", answer.data["token"])
            self.token = Token(value, self.login, host, began, answer.ended)
            self.journal.tokens.append(self.token)
        elif decided[0].status == 200 and not self.journal.ends.get(self.login):
            self.complain(f"an approved login is {answer.data['status']}")

    def log_out(self) -> None:
        if token := self.token:
            token.ends.append(waiting := Answer(0, time.monotonic(), float("inf")))
            answer = self.ask("POST", "/api/auth/logout", {})
            token.ends[token.ends.index(waiting)] = answer
            if not answer.is_open:
                self.token = None

    def sign_out_everywhere(self) -> None:
        ends = self.journal.ends.setdefault(self.login, [])
        ends.append(waiting := Answer(0, time.monotonic(), float("inf")))
        answers = self.press("/account/apps", "/account/revoke-all")
        ends.remove(waiting)
        ends.extend(answer for answer in answers if answer.is_promise or answer.is_open)

    def look_around(self) -> None:
        try:
            page = self.browser.get(self.random.choice(["/workspaces/", "/deployments/", "/account/apps", "/"]))
            if page.status == 302 and "/auth/sign-in" in page.location:
                self.sign_in()
        except Lost:
            return


def _read(raw: Any) -> dict[str, Any]:
    if not raw.headers.get("Content-Type", "").startswith("application/json"):
        return {}
    body = raw.json()
    return body if isinstance(body, dict) else {}


def _told(options: dict[str, Any]) -> str:
    body = options.get("json") or {}
    return " ".join(str(body[name]) for name in ("appName", "connection_id", "paused", "login") if name in body)
