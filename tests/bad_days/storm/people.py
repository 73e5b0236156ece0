"""People with their browser and their tool, who do one thing after another, as a seeded generator tells them."""

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import urllib3

from tests.bad_days.storm.model import Answer, Journal, Token
from tests.bad_days.storm.world import World
from tests.bad_days.web import WebBrowser

_PATIENCE_SECONDS = 12
_AT_MOST_BETWEEN = 0.7


class Lost(Exception):
    """Nobody heard an answer that could be gone on with."""


class Person:
    """Somebody who signs in, logs a tool in, and looks at every answer they get."""

    def __init__(self, world: World, journal: Journal, login: str, number: int, seed: str) -> None:
        self.world, self.journal, self.login = world, journal, login
        self.name = f"{login}-{number}"
        self.random = random.Random(f"{seed} {self.name}")
        self.token: Token | None = None
        self.browser = WebBrowser(self)  # type: ignore[arg-type]
        self._address = f"10.0.0.{1 + sum(map(ord, self.name)) % 200}"
        self._logins = 0
        self._last: Answer | None = None

    def live(self, over: threading.Event) -> None:
        """Do something, pause, and so on."""
        try:
            while not over.is_set():
                if self.token is None:
                    self.log_in()
                else:
                    self._do_something()
                over.wait(self.random.uniform(0.05, _AT_MOST_BETWEEN))
        except Exception as error:  # noqa: BLE001 - told to the test
            self.journal.complain(self.name, f"this test crashed: {error!r}")

    def deeds(self) -> dict[Callable[[], None], int]:
        """What they may do, and how often."""
        return {self.look_around: 3, self.log_out: 1}

    def _do_something(self) -> None:
        deeds = self.deeds()
        (deed,) = self.random.choices(list(deeds), weights=list(deeds.values()))
        deed()

    def log_in_again(self) -> bool:
        """Have a new token, now that nothing is broken; says whether it came to that."""
        self.token = None
        for _ in range(5):
            self.log_in()
            if self.token is not None:
                return True
        self.journal.complain(self.name, "can't log in")
        return False

    # With the tool.

    def ask(self, method: str, path: str, sent: Any = None, **options: Any) -> Answer:
        """Ask the API with the tool's token, which must work unless somebody ended it."""
        token = self.token
        assert token is not None
        if sent is not None:
            options["json"] = sent
        answer = self.call(method, path, token=token.value, **options)
        fate = self.journal.fate_of(token, began=answer.began, ended=answer.ended)
        if answer.status == 401:
            if fate == "alive":
                self.journal.complain(self.name, f"{method} {path}: a token that nobody ended was refused")
            self.token = None
        elif answer.is_promise and fate == "dead":
            self.journal.complain(self.name, f"{method} {path}: a token that was ended works")
        return answer

    def ask_twice(self, method: str, path: str, sent: Any = None) -> tuple[Answer, Answer]:
        """The same question twice at once, as impatient people and retrying tools do."""
        heard: list[Answer] = []
        token = self.token
        assert token is not None
        options = {} if sent is None else {"json": sent}
        other = threading.Thread(
            target=lambda: heard.append(self.call(method, path, token=token.value, **options)), daemon=True
        )
        other.start()
        answer = self.ask(method, path, sent)
        other.join()
        return answer, heard[0]

    def call(self, method: str, path: str, **options: Any) -> Answer:
        """What is answered. A status of 500, and one above without a sentence, is complained of."""
        began = time.monotonic()
        headers = options.pop("headers", {}) | {"Fly-Client-IP": self._address}
        what = f"{method} {path.partition('?')[0]} {_told(options)}"
        try:
            raw = self.world.server.request(method, path, headers=headers, timeout=_PATIENCE_SECONDS, **options)
        except urllib3.exceptions.HTTPError as error:
            late = isinstance(error, urllib3.exceptions.ReadTimeoutError)
            answer = Answer(0, began, time.monotonic(), may_come_late=late)
            self.journal.note(self.name, f"{what} -> {type(error).__name__}")
        else:
            data = _read(raw)
            answer = Answer(raw.status, began, time.monotonic(), data=data)
            about = data.get("error", "") if isinstance(data, dict) else ""
            self.journal.note(self.name, f"{what} -> {raw.status} {about}")
            self._look_at(what, raw, data)
        self.journal.statuses[answer.status] += 1
        return answer

    def _look_at(self, what: str, raw: Any, data: Any) -> None:
        if raw.status == 500 or b"Traceback" in raw.data:
            self.journal.complain(self.name, f"{what}: a plain {raw.status}")
        elif raw.status > 500:
            sentence = data.get("error", "") if isinstance(data, dict) else raw.data.decode(errors="replace")
            if raw.status not in {502, 503, 504} or "." not in sentence:
                self.journal.complain(self.name, f"{what}: {raw.status} without a sentence")

    # With the browser.

    def request(self, method: str, path: str, **options: Any) -> Any:
        """For the browser: the answer itself. Raises Lost."""
        began = time.monotonic()
        headers = options.pop("headers", {}) | {"Fly-Client-IP": self._address}
        what = f"{method} {path.partition('?')[0]}"
        self._last = None
        try:
            raw = self.world.server.request(method, path, headers=headers, timeout=_PATIENCE_SECONDS, **options)
        except urllib3.exceptions.HTTPError as error:
            late = isinstance(error, urllib3.exceptions.ReadTimeoutError)
            self._last = Answer(0, began, time.monotonic(), may_come_late=late)
            self.journal.note(self.name, f"{what} -> {type(error).__name__}")
            raise Lost from error
        self._last = Answer(raw.status, began, time.monotonic(), data=raw.headers.get("Location"))
        self.journal.note(self.name, f"{what} -> {raw.status}")
        self.journal.statuses[raw.status] += 1
        self._look_at(what, raw, _read(raw))
        if raw.status >= 500:
            raise Lost
        return raw

    def press(self, path: str, action: str, **fields: str) -> Answer | None:
        """Press a button of a page; None when they didn't get that far."""
        try:
            page = self.browser.get(path)
            if "/auth/sign-in" in page.location or b'action="/auth/github"' in page.content:
                self.sign_in()
                page = self.browser.get(path)
            if f'action="{action}"'.encode() not in page.content:
                return None
        except Lost:
            return None
        with suppress(Lost):
            self.browser.press(page, action, **fields)
        return self._last

    def sign_in(self) -> None:
        """Sign the browser in with GitHub. Raises Lost."""
        self.browser.cookies.clear()
        try:
            answer = self.browser.sign_in(self.login)
        except (AssertionError, urllib3.exceptions.HTTPError) as error:
            raise Lost from error
        if answer.status == 409 and b"in another window" in answer.content:
            raise Lost
        if answer.status == 400 and self.journal.ends.get(self.login):
            # Signed out everywhere just then.
            raise Lost
        if answer.status != 302:
            self.journal.complain(self.name, f"signing in was answered with {answer.status}")
            raise Lost
        self.journal.keep_secret(f"session of {self.name}", self.browser.cookies["session"])

    def log_in(self) -> None:
        """Log the tool in: a code, a person's decision, a token."""
        self._logins += 1
        host, began = f"{self.name}-{self._logins}", time.monotonic()
        answer = self.call("POST", "/api/auth/cli/session", json={"clientName": "storm", "hostname": host})
        if not answer.is_promise:
            return
        code, secret = answer.data["data"]["code"], answer.data["data"]["secret"]
        self.journal.keep_secret(f"secret of {host}", secret)
        if (decided := self.press(f"/auth/cli?cli_code={code}", "/auth/cli", decision="approve")) is None:
            return
        for _ in range(3):
            answer = self.call("GET", f"/api/auth/cli/check?code={code}&secret={secret}")
            if not answer.is_open:
                break
        if answer.is_promise and answer.data["data"]["status"] == "approved":
            value = self.journal.keep_secret(f"token of {host}", answer.data["data"]["token"])
            self.token = Token(value, self.login, host, began, answer.ended)
            self.journal.tokens.append(self.token)
        elif answer.is_promise and decided.status == 200 and not self.journal.ends.get(self.login):
            self.journal.complain(self.name, f"an approved login is {answer.data['data']['status']}")

    def log_out(self) -> None:
        """End the tool's token."""
        token = self.token
        assert token is not None
        token.ends.append(waiting := Answer(0, time.monotonic(), float("inf")))
        answer = self.ask("POST", "/api/auth/logout", {})
        token.ends[token.ends.index(waiting)] = answer
        if not answer.is_open:
            self.token = None

    def sign_out_everywhere(self) -> None:
        """End everything that is signed in as this person."""
        ends = self.journal.ends.setdefault(self.login, [])
        ends.append(waiting := Answer(0, time.monotonic(), float("inf")))
        answer = self.press("/account/apps", "/account/revoke-all")
        ends.remove(waiting)
        # Where somebody else of this name was quicker, this browser is asked to sign in and come back.
        if answer is not None and (answer.is_open or answer.data == "/auth/sign-in"):
            ends.append(answer)

    def look_around(self) -> None:
        """Open a page or two."""
        try:
            page = self.browser.get(self.random.choice(["/workspaces/", "/deployments/", "/account/apps", "/"]))
            if page.status == 302 and "/auth/sign-in" in page.location:
                self.sign_in()
        except Lost:
            return


def _read(raw: Any) -> Any:
    """The JSON, or nothing of a page."""
    if not raw.headers.get("Content-Type", "").startswith("application/json"):
        return None
    try:
        return raw.json()
    except ValueError:
        return None


def _told(options: dict[str, Any]) -> str:
    body = options.get("json")
    named = ("appName", "connection_id", "workflowName", "paused", "hostname")
    return " ".join(str(body[name]) for name in named if name in body) if isinstance(body, dict) else ""
