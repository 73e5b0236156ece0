"""Those who talk to the sandbox in its own tests: a server, a browser, a receiver of webhooks."""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import urllib3

NANGO_KEY = "00000000-0000-4000-8000-000000000001"


@dataclass
class Answer:
    """A status, its headers, and the body as JSON where it is JSON."""

    status: int
    headers: Any
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])


@dataclass
class NangoClient:
    """Calls the stand-in for Nango as a server with the API key would."""

    base: str
    pool: urllib3.PoolManager
    key: str = NANGO_KEY

    def __call__(self, method: str, path: str, body: object = None, *, headers: dict[str, str] | None = None) -> Answer:
        sent = {"Authorization": f"Bearer {self.key}"} if headers is None else dict(headers)
        raw = None
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
            raw = body if isinstance(body, str) else json.dumps(body)
        response = self.pool.request(method, self.base + path, body=raw, headers=sent)
        return Answer(response.status, response.headers, response.data.decode())

    def open_session(self, **body: object) -> Any:
        answer = self("POST", "/connect/sessions", body)
        assert answer.status == 201, answer.text
        return answer.json["data"]


@dataclass
class GitHubClient:
    """Signs in at the stand-in for GitHub as a browser and a server would."""

    base: str
    pool: urllib3.PoolManager
    callback: str = "http://127.0.0.1:3000/api/auth/github/callback"
    client_id: str = "sandbox-github-client"
    client_secret: str = "sandbox-github-secret"

    def _asked(self, fields: dict[str, str]) -> dict[str, str]:
        return {"client_id": self.client_id, "redirect_uri": self.callback, "state": "s1", **fields}

    def look(self, **fields: str) -> Answer:
        response = self.pool.request("GET", f"{self.base}/login/oauth/authorize", fields=self._asked(fields))
        return Answer(response.status, response.headers, response.data.decode())

    def press(self, **fields: str) -> Answer:
        response = self.pool.request(
            "POST", f"{self.base}/login/oauth/authorize", fields=self._asked(fields), encode_multipart=False
        )
        return Answer(response.status, response.headers, response.data.decode())

    def code_for(self, login: str, **fields: str) -> str:
        location = self.press(login=login, **fields).headers["Location"]
        return parse_qs(urlsplit(location).query)["code"][0]

    def exchange(self, code: str, **fields: str) -> Any:
        sent = {"client_id": self.client_id, "client_secret": self.client_secret, "code": code, **fields}
        response = self.pool.request(
            "POST",
            f"{self.base}/login/oauth/access_token",
            fields=sent,
            encode_multipart=False,
            headers={"Accept": "application/json"},
        )
        assert response.status == 200, response.data
        return response.json()

    def token_for(self, login: str, scope: str = "user:email") -> str:
        return str(self.exchange(self.code_for(login, scope=scope))["access_token"])

    def api(self, path: str, token: str = "", **headers: str) -> Answer:
        sent = {"Authorization": f"Bearer {token}", **headers} if token else dict(headers)
        response = self.pool.request("GET", f"{self.base}/api{path}", headers=sent)
        return Answer(response.status, response.headers, response.data.decode())


@dataclass
class Receiver:
    """Takes webhooks. `statuses` are given one by one, then 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(raw) for _, raw in self.got]
