"""What the tests of integrations share: questions to the sandbox, and connections to begin with."""

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import User
from integrations.models import Connection
from tests.sandbox_process import SandboxProcess

Calls = Callable[[], list[str]]
Connect = Callable[..., str]


@pytest.fixture(autouse=True)
def no_cached_credentials(settings: Any) -> None:
    """The cache is off unless a test is about it."""
    settings.CREDENTIALS_CACHE_SECONDS = 0
    settings.INTEGRATIONS_CACHE_SECONDS = 0


@pytest.fixture
def calls(sandbox: SandboxProcess) -> Calls:
    """Gives "METHOD /path" of every call to Nango so far, oldest first."""

    def ask() -> list[str]:
        return [f"{entry['method']} {entry['path']}" for entry in sandbox.requests("nango")]

    return ask


@pytest.fixture
def connect(sandbox: SandboxProcess) -> Connect:
    """Makes a connection at Nango that bears somebody's tags; gives its id."""

    def make(person: User, integration: str = "acme", **fields: Any) -> str:
        return sandbox.seed(integration=integration, tags={"end_user_id": str(person.pk)}, **fields)[0]

    return make


def own(person: User, connection_id: str, integration: str = "acme", **fields: Any) -> Connection:
    """A recorded connection of the person's."""
    from django.utils import timezone  # noqa: PLC0415 - not before the settings are read

    return Connection.objects.create(
        integration_id=integration,
        connection_id=connection_id,
        owner=person,
        organization=person.personal_organization,
        **{"created_at": timezone.now(), **fields},
    )


def at_nango(sandbox: SandboxProcess, connection_id: str, integration: str = "acme") -> dict[str, Any] | None:
    """The connection as Nango holds it, secrets and all."""
    for held in sandbox.state()["nango"]["connections"].values():
        if (held["connection_id"], held["provider_config_key"]) == (connection_id, integration):
            return dict(held)
    return None
