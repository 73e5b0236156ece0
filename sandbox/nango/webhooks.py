"""Nango's webhooks: signed, sent in the background, and tried again as Nango does."""

import asyncio
import hashlib
import hmac
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import aiohttp
import orjson

from sandbox.nango.catalogue import Integration
from sandbox.nango.state import Connection
from sandbox.nango.tags import EndUser
from sandbox.settings import Settings

_TIMEOUT = aiohttp.ClientTimeout(total=20)
_RETRIES = 2
_SERVER_TROUBLE = 500
_KEPT = 1000


@dataclass
class Delivery:
    """One webhook. `attempts` holds a status each, or the name of what went wrong."""

    url: str
    body: object
    headers: dict[str, str]
    attempts: list[int | str] = field(default_factory=list)


@dataclass
class Webhooks:
    """The webhooks that were sent and those on their way."""

    deliveries: deque[Delivery] = field(default_factory=lambda: deque(maxlen=_KEPT))
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def report(
        self,
        connection: Connection,
        *,
        operation: str,
        settings: Settings,
        end_user: EndUser | None = None,
        error: Mapping[str, str] | None = None,
    ) -> None:
        """Send what happened to a connection, in the background."""
        body = _auth_body(connection, operation=operation, end_user=end_user, error=error)
        self._send(body, url=connection.webhook_url_override or settings.webhook_url, settings=settings)

    def report_denied(self, integration: Integration, connection_id: str, *, settings: Settings) -> None:
        """Send that a person said no at the provider: no tags tell who that was."""
        body = {
            **_auth_event(integration, connection_id, operation="creation"),
            "success": False,
            "error": {"type": "access_denied", "description": "The person denied access"},
        }
        self._send(body, url=settings.webhook_url, settings=settings)

    def _send(self, body: Mapping[str, object], *, url: str, settings: Settings) -> None:
        if not settings.webhooks or not url:
            return
        raw = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
        delivery = Delivery(url=url, body=body, headers=sign(raw, key=settings.signing_key) | settings.webhook_headers)
        self.deliveries.append(delivery)
        task = asyncio.create_task(_deliver(delivery, raw=raw, pause=settings.webhook_retry_seconds))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self, *, seconds: float) -> None:
        """Wait until no webhook is on its way, `seconds` at most."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    def stop(self) -> None:
        """Give up what is on its way."""
        for task in self._tasks:
            task.cancel()

    def as_json(self) -> list[dict[str, object]]:
        """List the deliveries, oldest first."""
        return [asdict(delivery) for delivery in self.deliveries]


def sign(raw: bytes, *, key: str) -> dict[str, str]:
    """Make the headers of a webhook: the HMAC to check, and the older plain hash beside it."""
    return {
        "Content-Type": "application/json",
        "User-Agent": "nango/sandbox",
        "X-Nango-Signature": hashlib.sha256(key.encode() + raw).hexdigest(),
        "X-Nango-Hmac-Sha256": hmac.new(key.encode(), raw, hashlib.sha256).hexdigest(),
    }


async def post(url: str, *, raw: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """Send once and give status and body. Raises aiohttp.ClientError and TimeoutError."""
    async with (
        aiohttp.ClientSession(timeout=_TIMEOUT) as client,
        client.post(url, data=raw, headers=headers, allow_redirects=False) as response,
    ):
        return response.status, await response.read()


async def _deliver(delivery: Delivery, *, raw: bytes, pause: float) -> None:
    """Try up to three times; only network errors and 5xx are worth another try."""
    for attempt in range(1 + _RETRIES):
        if attempt:
            await asyncio.sleep(pause * 2 ** (attempt - 1))
        try:
            status, _ = await post(delivery.url, raw=raw, headers=delivery.headers)
        except (aiohttp.ClientError, TimeoutError, ValueError) as problem:
            delivery.attempts.append(type(problem).__name__)
            continue
        delivery.attempts.append(status)
        if status < _SERVER_TROUBLE:
            return


def _auth_body(
    connection: Connection,
    *,
    operation: str,
    end_user: EndUser | None,
    error: Mapping[str, str] | None,
) -> dict[str, object]:
    body: dict[str, object] = {
        **_auth_event(connection.integration, connection.connection_id, operation=operation),
        "success": error is None,
        "tags": dict(connection.tags),
    }
    if end_user is not None:
        body["endUser"] = _legacy_end_user(end_user)
    if error is not None:
        body["error"] = dict(error)
    return body


def _auth_event(integration: Integration, connection_id: str, *, operation: str) -> dict[str, object]:
    return {
        "authMode": integration.provider.auth_mode,
        "connectionId": connection_id,
        "environment": "dev",
        "from": "nango",
        "operation": operation,
        "provider": integration.provider.name,
        "providerConfigKey": integration.unique_key,
        "type": "auth",
    }


def _legacy_end_user(end_user: EndUser) -> dict[str, object]:
    organization = end_user.get("organization")
    return {
        "endUserId": end_user["id"],
        "endUserEmail": end_user.get("email"),
        "organizationId": organization.get("id") if isinstance(organization, dict) else None,
        "tags": end_user.get("tags") or {},
    }
