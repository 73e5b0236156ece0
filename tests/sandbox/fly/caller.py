"""Whoever calls Fly in the sandbox's own tests."""

import json
from dataclasses import dataclass
from typing import Any

import urllib3

from tests.sandbox.actors import Answer

ORGANIZATION_TOKEN = "sandbox-fly-org-token"
MACHINES = "/v1/apps/shop/machines"


@dataclass
class FlyCaller:
    """Calls the stand-in for Fly with a token."""

    base: str
    pool: urllib3.PoolManager
    token: str = ORGANIZATION_TOKEN

    def __call__(self, method: str, path: str, body: object = None, *, headers: dict[str, str] | None = None) -> Answer:
        sent = {"Authorization": f"Bearer {self.token}"} | (headers or {})
        raw = body if isinstance(body, str) or body is None else json.dumps(body)
        response = self.pool.request(method, self.base + path, body=raw, headers=sent)
        return Answer(response.status, response.headers, response.data.decode())

    def done(self, method: str, path: str, body: object = None, *, headers: dict[str, str] | None = None) -> Any:
        """The JSON of an answer that must be a success."""
        answer = self(method, path, body, headers=headers)
        assert answer.status < 300, answer.text
        return answer.json if answer.text else None

    def refusal(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        """The status and the text of an answer that must be a refusal."""
        answer = self(method, path, body)
        assert answer.status >= 400, answer.text
        return answer.status, str(answer.json["error"])

    def make_app(self, name: str, **fields: object) -> Any:
        return self.done("POST", "/v1/apps", {"name": name, "org_slug": "sandbox", **fields})

    def make_machine(self, app: str = "shop", *, config: dict[str, Any] | None = None, **fields: object) -> Any:
        body = {"config": {"image": "registry.fly.io/shop:v1", **(config or {})}, **fields}
        return self.done("POST", f"/v1/apps/{app}/machines", body)

    def state_of(self, machine: Any) -> str:
        return str(self.done("GET", f"{MACHINES}/{machine['id']}")["state"])

    def deploy_token(self, app: str = "shop", **body: object) -> "FlyCaller":
        token = self.done("POST", f"/v1/apps/{app}/deploy_token", body)["token"]
        return FlyCaller(self.base, self.pool, token)

    def public(self, path: str) -> Answer:
        response = self.pool.request("GET", f"{self.base}/apps{path}")
        return Answer(response.status, response.headers, response.data.decode())
