"""A browser without JavaScript: our pages through Django's client, the stand-in for GitHub over HTTP."""

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import urllib3
from django.test import Client

_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')


class Browser:
    """One person's browser, with its cookies. Forms are only sent with the fields that their page has."""

    def __init__(self, *, address: str = "127.0.0.1") -> None:
        self.client = Client(
            enforce_csrf_checks=True,
            raise_request_exception=False,
            REMOTE_ADDR=address,
            headers={"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"},
        )
        self._http = urllib3.PoolManager(retries=False, timeout=20)

    def get(self, path: str, **parameters: str) -> Any:
        return self.client.get(path, parameters)

    def press(self, page: Any, action: str, **fields: str) -> Any:
        """Send the page's form that leads to `action`, with the button's own fields."""
        return self.client.post(action, {**form_of(page, action), **fields})

    def go_to_github(self, *, next_path: str = "") -> str:
        """Press "Sign in with GitHub"; gives the address that we send the browser to."""
        page = self.get("/auth/sign-in", **({"next": next_path} if next_path else {}))
        answer = self.press(page, "/auth/github")
        assert answer.status_code == 302, answer.content
        return str(answer["Location"])

    def approve_at_github(self, address: str, **form: str) -> str:
        """Press a person's button there; gives our path, with query, that GitHub sends the browser to."""
        asked = asked_of_github(address)
        answer = self._http.request(
            "POST", address.partition("?")[0], fields={**asked, **form}, encode_multipart=False, redirect=False
        )
        assert answer.status == 302, answer.data
        parts = urlsplit(answer.headers["Location"])
        return f"{parts.path}?{parts.query}"

    def sign_in(self, login: str, *, next_path: str = "") -> Any:
        """The whole dance; gives our answer to GitHub's callback."""
        return self.client.get(self.approve_at_github(self.go_to_github(next_path=next_path), login=login))

    @property
    def is_signed_in(self) -> bool:
        return bool(self.get("/account/apps").status_code == 200)


def form_of(page: Any, action: str) -> dict[str, str]:
    """The hidden fields of the form that leads to `action`."""
    for form in re.findall(r"<form.*?</form>", page.content.decode(), re.DOTALL):
        if f'action="{action}"' in form:
            return {name: unescape(value) for name, value in _HIDDEN.findall(form)}
    raise AssertionError(f"no form leads to {action}:\n{page.content.decode()}")


def text_of(page: Any) -> str:
    """What a person reads, with single spaces."""
    body = re.sub(r"<(head|style|script).*?</\1>", " ", page.content.decode(), flags=re.DOTALL)
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))).strip()


def asked_of_github(address: str) -> dict[str, str]:
    """The parameters of an address that we, or GitHub, send the browser to."""
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
