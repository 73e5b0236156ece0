"""Somebody who has just started `make dev`: a browser that presses buttons, and a command line beside it."""

import time
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import requests

_CLI = {"clientName": "crayon CLI", "hostname": "laptop"}


class _Page(HTMLParser):
    """The buttons of a page with what their forms send, and its links, each by what is written on it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.buttons: dict[str, tuple[str, dict[str, str]]] = {}
        self.links: dict[str, str] = {}
        self._action, self._fields = "", dict[str, str]()
        self._pressed: dict[str, str] | None = None
        self._link: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._action, self._fields = found.get("action", ""), {}
        elif tag == "input" and found.get("type") == "hidden":
            self._fields[found["name"]] = found.get("value", "")
        elif tag == "button":
            self._pressed = {found["name"]: found.get("value", "")} if "name" in found else {}
        elif tag == "a":
            self._link = found.get("href")

    def handle_data(self, data: str) -> None:
        if self._pressed is not None:
            self.buttons.setdefault(data.strip(), (self._action, {**self._fields, **self._pressed}))
        if self._link is not None:
            self.links.setdefault(data.strip(), self._link)

    def handle_endtag(self, tag: str) -> None:
        if tag == "button":
            self._pressed = None
        elif tag == "a":
            self._link = None


class Browser:
    """One person's browser without a script: it keeps cookies, follows redirects and presses buttons."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self.url, self.text = "", ""

    def open(self, url: str) -> None:
        self._show(self._session.get(url, timeout=20))

    def press(self, button: str) -> None:
        """Send the form of the button, as the page has it."""
        buttons = _Page(self.text).buttons
        assert button in buttons, f"{self.url} has no button {button}: {self.text}"
        action, fields = buttons[button]
        self._show(self._session.post(urljoin(self.url, action), data=fields, timeout=20))

    def sign_in(self, login: str) -> None:
        self.press("Sign in with GitHub")
        self.press(login)

    def _show(self, answer: requests.Response) -> None:
        self.url, self.text = answer.url, answer.text
        assert answer.status_code == 200, f"{answer.status_code} at {answer.url}: {answer.text}"
        # The page that a person reads for a moment on their way to another host.
        if onward := _Page(answer.text).links.get("Go on"):
            self.open(urljoin(self.url, onward))


class CommandLine:
    """A tool in a terminal; each call must be answered with 200, and gives `data`."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.steps: list[str] = []
        self._session = requests.Session()
        self._session.trust_env = False

    def log_in(self, browser: Browser, login: str) -> None:
        started = self.post("auth/cli/session", **_CLI)
        assert self.get("auth/cli/check", **started) == {"status": "pending"}
        browser.open(f"{self.server}/auth/cli?cli_code={started['code']}")
        browser.sign_in(login)
        browser.press("Approve")
        assert "Authorized!" in browser.text
        token = self.get("auth/cli/check", **started)["token"]
        self._session.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, **query: str) -> Any:
        return self._ask("GET", path, params=query)

    def post(self, path: str, **body: Any) -> Any:
        return self._ask("POST", path, json=body)

    def delete(self, path: str, **body: Any) -> Any:
        return self._ask("DELETE", path, json=body)

    def poll(self, path: str, app: str, wanted: str, *, seconds: float = 60) -> dict[str, Any]:
        """Ask for a status until it is `wanted`, as the CLI does; an error ends it at once.

        `steps` are then the messages that it told on the way, each once.
        """
        self.steps = []

        def ask() -> Any:
            told = self.get(path, appName=app)
            if (message := told.get("message")) and message not in self.steps:
                self.steps.append(message)
            return told

        return self.wait(
            ask,
            lambda told: told["status"] == wanted,
            lambda told: "error" in told,
            seconds=seconds,
        )

    @staticmethod
    def wait(
        ask: Callable[[], Any],
        is_there: Callable[[Any], bool],
        is_over: Callable[[Any], bool] = lambda _told: False,
        *,
        seconds: float = 60,
    ) -> Any:
        deadline = time.monotonic() + seconds
        while not is_there(told := ask()):
            assert not is_over(told), told
            assert time.monotonic() < deadline, told
            time.sleep(0.2)
        return told

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        answer = self._session.request(method, f"{self.server}/api/{path}", timeout=20, **options)
        assert answer.status_code == 200, (method, path, answer.status_code, answer.text)
        return answer.json()["data"]
