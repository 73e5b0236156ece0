"""The running server, its people and its tools, on days when something else is down."""

from typing import Any

import pytest

from accounts.models import User
from tests.conftest import make_person, token_of
from tests.gunicorn_process import GunicornProcess


class Tool:
    """Calls the running server with a token."""

    def __init__(self, server: GunicornProcess, token: str) -> None:
        self.server, self.token = server, token

    def get(self, path: str, **headers: str) -> Any:
        return self.server.request("GET", path, token=self.token, headers=headers)

    def post(self, path: str, body: object) -> Any:
        return self.server.request("POST", path, token=self.token, json=body)

    def create(self, connection_id: str, key: str = "not-a-secret-key") -> Any:
        body = {"integration_id": "acme", "connection_id": connection_id, "credentials": {"apiKey": key}}
        return self.post("/api/connections/create", body)

    def delete(self, connection_id: str) -> Any:
        return self.post("/api/connections/delete", {"integration_id": "acme", "connection_id": connection_id})

    def connect(self, **more: str) -> Any:
        return self.post("/api/nango/connect-session", {"integration_id": "acme", **more})

    def credentials(self, connection_id: str, **headers: str) -> Any:
        return self.get(f"/api/credentials/acme?connection_id={connection_id}", **headers)

    def connections(self) -> Any:
        return self.get("/api/integrations/acme/connections")

    def integrations(self) -> Any:
        return self.get("/api/integrations")


@pytest.fixture
def persons(transactional_db: None) -> dict[str, User]:
    return {login: make_person(login) for login in ("alice", "bob")}


@pytest.fixture
def alices(server: GunicornProcess, persons: dict[str, User]) -> Tool:
    return Tool(server, token_of(persons["alice"]))


@pytest.fixture
def bobs(server: GunicornProcess, persons: dict[str, User]) -> Tool:
    return Tool(server, token_of(persons["bob"]))
