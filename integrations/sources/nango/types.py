"""What of Nango's answers is used, and how it is read: strictly where used, blind to the rest.

Every reader raises Unreadable when a field is missing or of another kind.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from integrations.nango_ids import LONGEST_ID, is_addressable, is_integration_id

logger = logging.getLogger(__name__)

OWNER_TAG = "end_user_id"
Fields = Mapping[str, object]
# A browser is sent there, and the page's policy names its origin: no user before an @, and nothing that ends either.
_LINK = re.compile(r"https?://[A-Za-z0-9.\-:\[\]]{1,300}[/?][!-~]{0,4000}")


class Unreadable(Exception):
    """An answer lacks a field or has it in another kind; the message names the field, not its value."""


@dataclass(frozen=True, slots=True)
class Integration:
    """A configured integration; `unique_key` is its id."""

    unique_key: str
    provider: str
    display_name: str
    logo: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something wrong with a connection: `type` is "auth" (reconnect it) or "sync"."""

    type: str
    log_id: str


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection as it is listed, without credentials. `owner` is "" when its tags name nobody."""

    connection_id: str
    integration_id: str
    provider: str
    owner: str
    organization: str
    created_at: datetime
    errors: tuple[Trouble, ...]
    metadata: Fields | None = field(repr=False)

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


@dataclass(frozen=True, slots=True)
class ConnectionWithCredentials:
    """A connection's credentials, in the shape of its auth mode, and whose tags it has."""

    owner: str
    provider: str
    credentials: Fields = field(repr=False)
    connection_config: Fields = field(repr=False)


@dataclass(frozen=True, slots=True)
class ConnectSession:
    """A page on which a person connects an account. Who holds the link acts for the tagged person."""

    token: str = field(repr=False)
    connect_link: str = field(repr=False)
    expires_at: datetime


def integrations(body: object) -> tuple[Integration, ...]:
    """The answer of `GET /integrations`, without what can't be read of it: one entry must not hide the others."""
    found: list[Integration] = []
    listed = items(an_object(body, "body"), "data")
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
    for item in items(an_object(body, "body"), "connections"):
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
    return text(an_object(an_object(body, "body").get("data"), "data"), "auth_mode")


def address(body: object) -> tuple[str, str]:
    """Of `POST /connections`: which connection was made, as integration and connection id."""
    fields = an_object(body, "body")
    return text(fields, "provider_config_key"), text(fields, "connection_id")


def done(body: object) -> None:
    """Of `DELETE /connections/{connection_id}`: that it says so."""
    if an_object(body, "body").get("success") is not True:
        raise Unreadable("success")


def _integration(item: object) -> Integration:
    fields = an_object(item, "data")
    return Integration(
        unique_key=text(fields, "unique_key"),
        provider=text(fields, "provider"),
        display_name=optional_text(fields, "display_name"),
        logo=optional_text(fields, "logo"),
    )


def _connection(item: object) -> Connection:
    fields = an_object(item, "connections")
    metadata = fields.get("metadata")
    connection_id, integration_id = text(fields, "connection_id"), text(fields, "provider_config_key")
    if not is_addressable(connection_id):
        raise Unreadable("connection_id: no route of Nango's finds it")
    if not is_integration_id(integration_id):
        raise Unreadable("provider_config_key: no route of Nango's finds it")
    return Connection(
        connection_id=connection_id,
        integration_id=integration_id,
        provider=text(fields, "provider"),
        owner=owner(fields),
        organization=_tag(fields, "organization_id"),
        created_at=moment(fields, "created"),
        errors=tuple(_trouble(error) for error in items(fields, "errors")),
        metadata=None if metadata is None else an_object(metadata, "metadata"),
    )


def connection_with_credentials(body: object) -> ConnectionWithCredentials:
    """The answer of `GET /connections/{connection_id}`."""
    fields = an_object(body, "body")
    return ConnectionWithCredentials(
        owner=owner(fields),
        provider=optional_text(fields, "provider"),
        credentials=an_object(fields.get("credentials"), "credentials"),
        connection_config=an_object(fields.get("connection_config"), "connection_config"),
    )


def connect_session(body: object) -> ConnectSession:
    """The answer of `POST /connect/sessions`."""
    fields = an_object(an_object(body, "body").get("data"), "data")
    link = text(fields, "connect_link")
    if not _LINK.fullmatch(link):
        raise Unreadable("connect_link")
    return ConnectSession(token=text(fields, "token"), connect_link=link, expires_at=moment(fields, "expires_at"))


def owner(fields: Fields) -> str:
    """The id in the connection's tags, else the one of its older `end_user`; "" when there is none.

    The tag wins: the two can disagree when both were sent, and only tags are written by us.
    """
    tagged = _tag(fields, OWNER_TAG)
    if tagged:
        return tagged
    end_user = fields.get("end_user")
    return "" if end_user is None else optional_text(an_object(end_user, "end_user"), "id")


def an_object(value: object, name: str) -> Fields:
    """The value as a JSON object."""
    if not isinstance(value, dict):
        raise Unreadable(name)
    return value


def items(fields: Fields, name: str) -> list[object]:
    """A field that is a list."""
    value = fields.get(name)
    if not isinstance(value, list):
        raise Unreadable(name)
    return value


def text(fields: Fields, name: str) -> str:
    """A field that is a string with something in it."""
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise Unreadable(name)
    return value


def optional_text(fields: Fields, name: str) -> str:
    """A field that is a string, null or absent; "" for the last two."""
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unreadable(name)
    return value


def moment(fields: Fields, name: str) -> datetime:
    """A field that is a time; Nango spells them in three ways, all of them ISO 8601."""
    found = parsed_moment(text(fields, name))
    if found is None:
        raise Unreadable(name)
    return found


def parsed_moment(value: object) -> datetime | None:
    """An ISO 8601 time in UTC, or None when it is none."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _tag(fields: Fields, name: str) -> str:
    tags = fields.get("tags")
    return "" if tags is None else optional_text(an_object(tags, "tags"), name)


def _printable(value: object) -> str:
    """An id as it may be shown and kept, "" when it is none."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}")[:LONGEST_ID] if isinstance(value, str) else ""


def _trouble(item: object) -> Trouble:
    fields = an_object(item, "errors")
    return Trouble(type=text(fields, "type"), log_id=optional_text(fields, "log_id"))
