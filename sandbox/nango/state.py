"""What Nango knows: integrations, connections and connect sessions."""

import secrets
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from sandbox.nango import clock
from sandbox.nango.catalogue import Integration, preset_integrations
from sandbox.nango.tags import EndUser, Tags

API_KEY = "00000000-0000-4000-8000-000000000001"
SIGNING_KEY = "sandbox-webhook-signing-key"
SESSION_PREFIX = "nango_connect_session_"
SESSION_LIFETIME = timedelta(minutes=30)
TOKEN_LIFETIME = timedelta(hours=1)

Address = tuple[str, str]
Refresh = Literal["ok", "rejected", "exhausted"]


@dataclass
class Connection:
    """Credentials of one person for one integration; addressed by both keys together."""

    id: int
    connection_id: str
    integration: Integration
    credentials: dict[str, object]
    tags: Tags
    created: datetime
    updated: datetime
    last_fetched: datetime | None = None
    end_user: EndUser | None = None
    metadata: dict[str, object] | None = None
    connection_config: dict[str, object] = field(default_factory=dict)
    webhook_url_override: str | None = None
    errors: list[dict[str, str]] = field(default_factory=list)
    refresh: Refresh = "ok"
    refreshes: int = 0
    backs_off_until: datetime | None = None

    @property
    def address(self) -> Address:
        """Give both keys."""
        return self.integration.unique_key, self.connection_id


@dataclass
class Session:
    """A connect session: whoever holds its token may connect for the one it was made for."""

    token: str
    expires_at: datetime
    tags: Tags
    end_user: EndUser | None
    allowed: list[str]
    defaults: dict[str, object]
    reconnects: Address | None = None
    webhook_url_override: str | None = None

    def allows(self, key: str) -> bool:
        """Say whether the session may connect this integration."""
        return not self.allowed or key in self.allowed


@dataclass
class Nango:
    """Everything the stand-in for Nango holds."""

    integrations: dict[str, Integration] = field(default_factory=preset_integrations)
    connections: dict[Address, Connection] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    _by_tag: dict[tuple[str, str], set[Address]] = field(default_factory=lambda: defaultdict(set))
    _by_id: dict[str, set[Address]] = field(default_factory=lambda: defaultdict(set))
    _last_number: int = 0

    def add(  # noqa: PLR0913 - a connection has these parts
        self,
        *,
        integration: Integration,
        credentials: dict[str, object],
        tags: Tags,
        connection_id: str | None = None,
        created: datetime | None = None,
        end_user: EndUser | None = None,
        metadata: dict[str, object] | None = None,
        connection_config: dict[str, object] | None = None,
        webhook_url_override: str | None = None,
    ) -> Connection:
        """Make a connection; without an id of the caller's it gets a random one."""
        self._last_number += 1
        moment = created or clock.now()
        connection = Connection(
            id=self._last_number,
            connection_id=str(uuid.uuid4()) if connection_id is None else connection_id,
            integration=integration,
            credentials=credentials,
            tags={},
            created=moment,
            updated=moment,
            end_user=end_user,
            metadata=metadata,
            connection_config=connection_config or {},
            webhook_url_override=webhook_url_override or None,
        )
        self.connections[connection.address] = connection
        self._by_id[connection.connection_id].add(connection.address)
        self.tag(connection, tags)
        return connection

    def tag(self, connection: Connection, tags: Tags) -> None:
        """Replace the tags of a connection."""
        for pair in connection.tags.items():
            self._by_tag[pair].discard(connection.address)
        for pair in tags.items():
            self._by_tag[pair].add(connection.address)
        connection.tags = tags

    def remove(self, connection: Connection) -> None:
        """Delete a connection."""
        self.tag(connection, {})
        self._by_id[connection.connection_id].discard(connection.address)
        del self.connections[connection.address]

    def candidates(self, *, connection_id: str | None, tags: Mapping[str, str]) -> Iterable[Connection]:
        """Find the connections with this id and all these tags, in no order."""
        sets = [self._by_tag.get(pair, set()) for pair in tags.items()]
        if connection_id is not None:
            sets.append(self._by_id.get(connection_id, set()))
        if not sets:
            return self.connections.values()
        return [self.connections[address] for address in set.intersection(*sets)]

    def open_session(self, session: Session) -> None:
        """Keep a new session."""
        self.sessions[session.token] = session

    def session(self, token: str) -> Session | None:
        """Find a session that is neither revoked nor over."""
        session = self.sessions.get(token)
        return session if session and session.expires_at > clock.now() else None


def new_session_token() -> str:
    """Make a token of a connect session."""
    return SESSION_PREFIX + secrets.token_hex(32)


def oauth2_credentials(
    *, provider: str, lifetime: timedelta = TOKEN_LIFETIME, refreshable: bool = True
) -> dict[str, object]:
    """Make tokens as a provider would give them: fake on sight, unlike any others."""
    granted: dict[str, object] = {
        "access_token": f"sandbox-{provider}-access-{secrets.token_hex(16)}",
        "token_type": "bearer",
        "expires_in": int(lifetime.total_seconds()),
    }
    if refreshable:
        granted["refresh_token"] = f"sandbox-{provider}-refresh-{secrets.token_hex(16)}"
    credentials: dict[str, object] = {
        "type": "OAUTH2",
        "access_token": granted["access_token"],
        "expires_at": clock.zulu(clock.now() + lifetime),
        "raw": granted,
    }
    if refreshable:
        credentials["refresh_token"] = granted["refresh_token"]
    return credentials
