"""What the tests of integrations share: questions to the sandbox, and connections to begin with."""

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from accounts.bearer import caller_of
from accounts.models import User
from integrations.models import Connection
from integrations.services import credential_cache
from tests.conftest import APIClient, token_of
from tests.sandbox_process import SandboxProcess

Calls = Callable[[], list[str]]
Connect = Callable[..., str]
WEBHOOK_PATH, WEBHOOK_KEY = "/webhooks/nango", "sandbox-webhook-signing-key"


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


@pytest.fixture
def send(nobody_api: APIClient, sandbox: SandboxProcess) -> Callable[..., Any]:
    """Posts a webhook as Nango would: signed with the key over the raw bytes."""

    def post(body: object, *, key: str = WEBHOOK_KEY, headers: dict[str, str] | None = None) -> Any:
        raw = body if isinstance(body, bytes) else json.dumps(body, sort_keys=True).encode()
        signature = hmac.new(key.encode(), raw, hashlib.sha256).hexdigest()
        given = {"X-Nango-Hmac-Sha256": signature} if headers is None else headers
        return nobody_api.request("POST", WEBHOOK_PATH, data=raw, content_type="application/json", headers=given)

    return post


def event(person: User | None = None, **fields: Any) -> dict[str, Any]:
    """Nango's news of a connection "main" to acme, with the person's tags."""
    tags = {"end_user_id": str(person.pk), "organization_id": str(person.personal_organization.pk)} if person else {}
    return {
        "type": "auth",
        "operation": "creation",
        "success": True,
        "from": "nango",
        "authMode": "API_KEY",
        "environment": "dev",
        "connectionId": "main",
        "providerConfigKey": "acme",
        "provider": "private-api-generic",
        "tags": tags,
    } | fields


def own(person: User, connection_id: str, integration: str = "acme", **fields: Any) -> Connection:
    """A recorded connection of the person's; one that is being deleted is so since now."""
    now = timezone.now()
    since = {"deleting_since": now} if fields.get("state") == Connection.State.DELETING else {}
    return Connection.objects.create(
        integration_id=integration,
        connection_id=connection_id,
        owner=person,
        organization=person.personal_organization,
        **{"created_at": now, **since, **fields},
    )


def at_nango(sandbox: SandboxProcess, connection_id: str, integration: str = "acme") -> dict[str, Any] | None:
    """The connection as Nango holds it, secrets and all."""
    for held in sandbox.state()["nango"]["connections"].values():
        if (held["connection_id"], held["provider_config_key"]) == (connection_id, integration):
            return dict(held)
    return None


def credentials(api: Any, connection_id: str, integration: str = "acme", **options: Any) -> Any:
    """Ask for a connection's credentials."""
    return api.get(f"/api/credentials/{integration}", connection_id=connection_id, **options)


def place_of(person: User, connection_id: str) -> credential_cache.Place:
    """Where the person's credentials of a connection are kept by now."""
    place = credential_cache.place_of(
        caller_of(token_of(person), now=timezone.now()), integration_id="acme", connection_id=connection_id
    )
    assert place is not None
    return place


@pytest.fixture
def kept(alice: User, alice_api: Any, connect: Any, settings: Any) -> str:
    """A connection whose credentials are kept."""
    settings.CREDENTIALS_CACHE_SECONDS = 60
    connection_id = connect(alice)
    assert credentials(alice_api, connection_id).status_code == 200
    return str(connection_id)
