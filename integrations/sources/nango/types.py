"""What of Nango's answers is used, and how it is read: strictly where used, blind to the rest.

Every reader raises Unreadable when a field is missing or of another kind.
"""

import logging
import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from core.upstream_types import NULL_IS_EMPTY_OBJECT, Moment, Object, OptionalText, Text, Unreadable, reader
from integrations.nango_ids import LONGEST_ID, is_addressable, is_integration_id

logger = logging.getLogger(__name__)

OWNER_TAG = "end_user_id"
# A browser is sent there, and the page's policy names its origin: no user before an @, and nothing that ends either.
_LINK = re.compile(r"https?://[A-Za-z0-9.\-:\[\]]{1,300}[/?][!-~]{0,4000}")


def _findable_connection(value: str) -> str:
    if not is_addressable(value):
        raise ValueError("no route of Nango's finds it")
    return value


def _findable_integration(value: str) -> str:
    if not is_integration_id(value):
        raise ValueError("no route of Nango's finds it")
    return value


def _link(value: str) -> str:
    if not _LINK.fullmatch(value):
        raise ValueError("no link for a browser")
    return value


@dataclass(frozen=True, slots=True)
class Integration:
    """A configured integration; `unique_key` is its id."""

    unique_key: Text
    provider: Text
    display_name: OptionalText = ""
    logo: OptionalText = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something wrong with a connection: `type` is "auth" (reconnect it) or "sync"."""

    type: Text
    log_id: OptionalText = ""


@dataclass(frozen=True, slots=True)
class _Tags:
    end_user_id: OptionalText = ""
    organization_id: OptionalText = ""


@dataclass(frozen=True, slots=True)
class _EndUser:
    id: OptionalText = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """Of any connection: whom its tags name."""

    tags: Annotated[_Tags, NULL_IS_EMPTY_OBJECT] = field(default_factory=_Tags)
    end_user: Annotated[_EndUser, NULL_IS_EMPTY_OBJECT] = field(default_factory=_EndUser)

    @property
    def owner(self) -> str:
        """The id in its tags, else the one of its older `end_user`; "" when there is none.

        The tag wins: the two can disagree when both were sent, and only tags are written by us.
        """
        return self.tags.end_user_id or self.end_user.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection(Owned):
    """A connection as it is listed, without credentials."""

    connection_id: Annotated[Text, AfterValidator(_findable_connection)]
    integration_id: Annotated[
        Text, AfterValidator(_findable_integration), Field(validation_alias="provider_config_key")
    ]
    provider: Text
    created_at: Annotated[Moment, Field(validation_alias="created")]
    errors: tuple[Trouble, ...]
    metadata: Object | None = field(default=None, repr=False)

    @property
    def organization(self) -> str:
        """The organization that its tags name, "" when they name none."""
        return self.tags.organization_id

    @property
    def needs_reconnect(self) -> bool:
        """Whether its credentials no longer work."""
        return any(error.type == "auth" for error in self.errors)


@dataclass(frozen=True, slots=True)
class Strange:
    """An entry of a list that can't be used: its ids as far as they are there, and what is wrong."""

    connection_id: str
    integration_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the list of connections: what can be read of it, and what can't."""

    connections: tuple[Connection, ...] = ()
    strange: tuple[Strange, ...] = ()

    @property
    def size(self) -> int:
        """How many entries it had."""
        return len(self.connections) + len(self.strange)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionWithCredentials(Owned):
    """A connection's credentials, in the shape of its auth mode, and whose tags it has."""

    provider: OptionalText = ""
    credentials: Object = field(repr=False)
    connection_config: Object = field(repr=False)


@dataclass(frozen=True, slots=True)
class ConnectSession:
    """A page on which a person connects an account. Who holds the link acts for the tagged person."""

    token: Text = field(repr=False)
    connect_link: Annotated[Text, AfterValidator(_link)] = field(repr=False)
    expires_at: Moment


@dataclass(frozen=True, slots=True)
class Made:
    """Which connection was made."""

    provider_config_key: Text
    connection_id: Text


@dataclass(frozen=True, slots=True)
class Done:
    """That something was done."""

    success: Literal[True]


@dataclass(frozen=True, slots=True)
class _Provider:
    auth_mode: Text


@dataclass(frozen=True, slots=True)
class _ProviderAnswer:
    data: _Provider


@dataclass(frozen=True, slots=True)
class _SessionAnswer:
    data: ConnectSession


@dataclass(frozen=True, slots=True)
class _Integrations:
    data: list[Any]


@dataclass(frozen=True, slots=True)
class _Connections:
    connections: list[Any]


connection_with_credentials = reader(ConnectionWithCredentials)
# Of `POST /connections`.
made = reader(Made)
# Of `DELETE /connections/{connection_id}`.
done = reader(Done)
owned = reader(Owned)
_integration, _connection = reader(Integration), reader(Connection)
_integrations, _connections = reader(_Integrations), reader(_Connections)
_provider, _session = reader(_ProviderAnswer), reader(_SessionAnswer)


def integrations(body: object) -> tuple[Integration, ...]:
    """The answer of `GET /integrations`, without what can't be read of it: one entry must not hide the others."""
    found: list[Integration] = []
    listed = _integrations(body).data
    for item in listed:
        try:
            found.append(_integration(item))
        except Unreadable as error:
            logger.warning("an integration of Nango's can't be read: %s", error)
    if listed and not found:
        raise Unreadable("data")
    return tuple(found)


def connections(body: object) -> Page:
    """The answer of `GET /connections`; whatever one entry is, the others can be read.

    Where no entry has its two ids this is no list of connections.
    """
    found: list[Connection] = []
    strange: list[Strange] = []
    for item in _connections(body).connections:
        try:
            found.append(_connection(item))
        except Unreadable as error:
            fields = item if isinstance(item, dict) else {}
            connection_id, integration_id = map(_printable, map(fields.get, ("connection_id", "provider_config_key")))
            strange.append(Strange(connection_id, integration_id, str(error)))
    if strange and not found and not any(item.connection_id and item.integration_id for item in strange):
        raise Unreadable("connections: " + strange[0].reason)
    return Page(tuple(found), tuple(strange))


def provider_auth_mode(body: object) -> str:
    """Of `GET /providers/{provider}`: how its connections are authorized."""
    return _provider(body).data.auth_mode


def connect_session(body: object) -> ConnectSession:
    """The answer of `POST /connect/sessions`."""
    return _session(body).data


def _printable(value: object) -> str:
    """An id as it may be shown and kept, "" when it is none."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}")[:LONGEST_ID] if isinstance(value, str) else ""
