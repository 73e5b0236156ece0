"""What the contract of the Nango client is held against, at a pace that leaves others their share."""

import contextlib
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import urllib3

from integrations.sources import APIKeyCredentials
from integrations.sources.nango import Nango, UnknownConnection
from tests.sandbox_process import SandboxProcess

PROVIDER = "private-api-generic"
CREDENTIALS = APIKeyCredentials("contract-test-key")
REFUSED = "contract-test-refused"
CALLS_A_MINUTE = 140


class Pace:
    """Lets so many calls through in any minute, and the next when the first of them is a minute ago."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep):
        self._made: deque[float] = deque(maxlen=CALLS_A_MINUTE)
        self._clock, self._sleep = clock, sleep

    def wait(self) -> None:
        if len(self._made) == CALLS_A_MINUTE and (left := self._made[0] + 60 - self._clock()) > 0:
            self._sleep(left)
        self._made.append(self._clock())


PACE = Pace()


class PacedNango(Nango):
    """Our client, at a pace that leaves others their share of a real Nango."""

    def _call(self, *words: Any, **options: Any) -> Any:
        PACE.wait()
        return super()._call(*words, **options)


@dataclass(frozen=True)
class Stage:
    """A Nango to test, one of its integrations, and a person who is in no other test."""

    nango: Nango
    url: str
    key: str
    integration: str
    person: str
    sandbox: SandboxProcess | None
    tests_keys: str
    refreshes: str
    made: set[tuple[str, str]] = field(default_factory=set)
    sessions: list[str] = field(default_factory=list)

    def client(self, **options: Any) -> Nango:
        kind = Nango if self.sandbox else PacedNango
        return kind(**{"base_url": self.url, "secret_key": self.key} | options)

    def make(self, connection_id: str | None = None, **fields: Any) -> str:
        connection_id = connection_id or str(uuid.uuid4())
        self.made.add((fields.get("integration_id", self.integration), connection_id))
        self.nango.import_connection(
            **{
                "integration_id": self.integration,
                "connection_id": connection_id,
                "credentials": CREDENTIALS,
                "tags": {"end_user_id": self.person},
            }
            | fields
        )
        return connection_id

    def send(self, path: str, **body: Any) -> Any:
        """What our client never says."""
        if path == "/connections":
            self.made.add((body["provider_config_key"], body["connection_id"]))
        answer = self.nango._call("POST", path, json=body)
        assert answer.ok, answer.body
        return answer.json()

    def complete(self, token: str) -> None:
        """Do what a person does on the session's page."""
        url = f"{self.url}/api-auth/api-key/{self.integration}?connect_session_token={token}"
        answer = self.ask("POST", url, json={"apiKey": "renewed-key"})
        assert answer.status == 200, answer.data

    def ask(self, method: str, url: str, **options: Any) -> Any:
        """Ask without our client, at its pace."""
        if not self.sandbox:
            PACE.wait()
        return urllib3.request(method, url, **options)

    def link(self, session: Any) -> Any:
        self.sessions.append(session.token)
        return session

    def clean_up(self) -> None:
        """Delete all that was made and revoke all links; fail with the name of whatever is left."""
        for token in self.sessions:
            headers = {"Authorization": f"Bearer {token}"}
            self.ask("DELETE", f"{self.url}/connect/session", headers=headers)
        listed = self.nango.list_connections(owner=self.person)
        for address in self.made | {(item.integration_id, item.connection_id) for item in listed}:
            with contextlib.suppress(UnknownConnection):
                self.nango.delete_connection(integration_id=address[0], connection_id=address[1])
        left = [page.connections + page.strange for page in self.nango.pages_of_connections(owner=self.person)]
        assert not any(left), f"left at Nango, to be deleted by hand: {left}"

    def address(self, connection_id: str) -> dict[str, str]:
        return {"integration_id": self.integration, "connection_id": connection_id}
