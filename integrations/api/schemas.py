"""Shapes of the integrations API's requests and answers."""

from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from core.schemas import Request, Value, told, words
from integrations.nango_ids import (
    ADDRESSABLE_RULE,
    LONGEST_ID,
    is_addressable,
    is_connection_id,
    is_integration_id,
    length_at_nango,
)
from integrations.sources import APIKeyCredentials, BasicCredentials

_LONGEST_SECRET = 1024


def _integration_id(value: str) -> str:
    if not is_integration_id(value):
        raise ValueError("Use letters, digits, spaces and ~ : . @ _ - only.")
    return value


def _connection_id(value: str) -> str:
    if not is_connection_id(value):
        raise ValueError("This is not a connection id.")
    return value


def _new_connection_id(value: str) -> str:
    if not is_addressable(_connection_id(value)):
        raise ValueError(ADDRESSABLE_RULE)
    return value


def _secret(value: str) -> str:
    if length_at_nango(value) > _LONGEST_SECRET:
        raise ValueError(f"Ensure this field has no more than {_LONGEST_SECRET} characters.")
    return value


def _object(value: object) -> dict[str, object]:
    """A JSON object with anything in it, except what no database keeps as text."""
    if value is None:
        raise ValueError("This field may not be null.")
    if not isinstance(value, dict):
        raise ValueError("This must be an object with names and values.")  # noqa: TRY004 - Pydantic passes those on
    try:
        encoded = orjson.dumps({"room": {"for": {"the": {"call": value}}}})
    except orjson.JSONEncodeError as error:
        raise ValueError("This is nested too deeply.") from error
    if b"\\u0000" in encoded:
        raise ValueError("Null characters are not allowed.")
    return value


_IntegrationId = Annotated[str, words(most=LONGEST_ID, trimmed=False, check=_integration_id)]
_CONNECTION_ID = words(most=LONGEST_ID, trimmed=False, check=_connection_id)
_SECRET = words(most=_LONGEST_SECRET, trimmed=False, check=_secret)
_SECRET_OR_NONE = words(most=_LONGEST_SECRET, trimmed=False, may_be_blank=True, check=_secret)


class ConnectionAddress(Request, alias_generator=None):
    """Which connection."""

    integration_id: _IntegrationId
    connection_id: Annotated[str, _CONNECTION_ID]


class ConnectSessionRequest(Request, alias_generator=None):
    """What to connect; with `connection_id` that connection is reconnected."""

    integration_id: _IntegrationId
    connection_id: Annotated[str | None, _CONNECTION_ID] = None


class Credentials(Request):
    """A user name and a password, or an API key."""

    username: Annotated[str | None, _SECRET_OR_NONE] = Field(default=None, repr=False)
    password: Annotated[str | None, _SECRET_OR_NONE] = Field(default=None, repr=False)
    api_key: Annotated[str | None, _SECRET] = Field(default=None, repr=False)

    def of_kind(self) -> BasicCredentials | APIKeyCredentials:
        """The credentials of the kind that was given."""
        match sorted(self.model_fields_set):
            case ["api_key"]:
                return APIKeyCredentials(self.api_key or "")
            case ["password", "username"]:
                return BasicCredentials(self.username or "", self.password or "")
            case _:
                raise ValueError("Give either username and password, or apiKey.")


def _of_one_kind(value: Credentials) -> Credentials:
    value.of_kind()
    return value


class NewConnection(Request, alias_generator=None):
    """A connection to make, with its credentials."""

    integration_id: _IntegrationId
    connection_id: Annotated[str, words(most=LONGEST_ID, trimmed=False, check=_new_connection_id)]
    credentials: Annotated[Credentials, AfterValidator(_of_one_kind)]
    connection_config: Annotated[
        dict[str, Any] | None, Value(_object, {"type": "object", "additionalProperties": {}})
    ] = None


class IntegrationAnswer(TypedDict):
    """An integration."""

    id: str
    provider: str
    displayName: str
    logo: str | None


class Trouble(TypedDict):
    """Something wrong: "auth" means reconnect it, "deletion" that it was to be deleted and is still there."""

    type: str
    log_id: str


class ConnectionAnswer(TypedDict):
    """A connection of the caller's, without its credentials."""

    connection_id: str
    provider_config_key: str
    provider: str
    created_at: datetime
    created: Annotated[datetime, told("The older name of created_at.")]
    errors: list[Trouble]
    metadata: dict[str, Any] | None


class CredentialsAnswer(TypedDict):
    """A connection's credentials; `raw` has the shape of the integration's kind."""

    token: str
    connectionConfig: dict[str, Any]
    raw: dict[str, Any]


class ConnectSessionAnswer(TypedDict):
    """A link that the caller opens in a browser within half an hour, signed in as themselves.

    `token` names the link, and opens nothing by itself.
    """

    token: str
    connectLink: str
    expiresAt: datetime


class CreatedConnection(TypedDict):
    """The connection that was made."""

    connection_id: str


class Ok(TypedDict):
    """The answer where there is nothing to tell."""

    ok: bool


class WebhookAnswer(TypedDict):
    """What became of a webhook."""

    status: Literal["done", "ignored"]
