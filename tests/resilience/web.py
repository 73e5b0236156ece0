"""A person's browser and a person's tool before the running server, over real HTTP."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import urllib3

from tests.accounts.browsing import form_of
from tests.gunicorn_process import GunicornProcess


@dataclass(frozen=True)
class Page:
    """An answer to a browser."""

    status: int
    content: bytes
    location: str


class WebBrowser:
    """Keeps cookies, follows nothing by itself, sends forms only with the fields that their page has."""

    def __init__(self, server: GunicornProcess) -> None:
        self._server = server
        self._http = urllib3.PoolManager(retries=False, timeout=20)
        self.cookies: dict[str, str] = {}
        self.locations: list[str] = []

    def get(self, path: str) -> Page:
        return self._ask("GET", path)

    def press(self, page: Page, action: str, **fields: str) -> Page:
        return self._ask("POST", action, fields={**form_of(page, action), **fields}, encode_multipart=False)

    def sign_in(self, login: str) -> Page:
        """The whole dance with GitHub; gives our answer to its callback."""
        return self.get(self.approved_at_github(login))

    def approved_at_github(self, login: str) -> str:
        """Our path, with query, that GitHub sends the browser to."""
        address = self.press(self.get("/auth/sign-in"), "/auth/github").location
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        answer = self._http.request(
            "POST", address.partition("?")[0], fields={**asked, "login": login}, encode_multipart=False, redirect=False
        )
        assert answer.status == 302, answer.data
        parts = urlsplit(answer.headers["Location"])
        return f"{parts.path}?{parts.query}"

    def _ask(self, method: str, path: str, **options: Any) -> Page:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = self._server.request(method, path, headers={"Cookie": cookies} if cookies else {}, **options)
        for line in answer.headers.getlist("Set-Cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            if re.search(r"max-age=0", line, re.IGNORECASE):
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        location = answer.headers.get("Location", "")
        self.locations.append(location)
        return Page(answer.status, answer.data, location)


def start_login(server: GunicornProcess) -> tuple[str, str]:
    """Code and secret of a new CLI login."""
    answer = server.request("POST", "/api/auth/cli/session", json={"clientName": "crayon CLI", "hostname": "laptop"})
    assert answer.status == 200, answer.data
    data = answer.json()["data"]
    return data["code"], data["secret"]


def check(server: GunicornProcess, code: str, secret: str) -> Any:
    """What a poll says."""
    return server.request("GET", f"/api/auth/cli/check?code={code}&secret={secret}")


def approve(browser: WebBrowser, code: str) -> None:
    """Press Approve."""
    page = browser.press(browser.get(f"/auth/cli?cli_code={code}"), "/auth/cli", decision="approve")
    assert page.status == 200, page.content


def log_in(server: GunicornProcess, login: str = "alice") -> str:
    """A token, by way of GitHub, the approval page and a poll."""
    browser = WebBrowser(server)
    assert browser.sign_in(login).status == 302
    code, secret = start_login(server)
    approve(browser, code)
    token: str = check(server, code, secret).json()["data"]["token"]
    return token
