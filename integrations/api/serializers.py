"""Shapes of the integrations API's requests and answers."""

from collections.abc import Mapping
from typing import Any

import orjson
from rest_framework import serializers

from core.api import TextField
from integrations.credential_types import APIKeyCredentials, BasicCredentials
from integrations.nango_ids import (
    ADDRESSABLE_RULE,
    LONGEST_ID,
    is_addressable,
    is_connection_id,
    is_integration_id,
    length_at_nango,
)

_LONGEST_SECRET = 1024


class IntegrationIdField(TextField):
    """The id of an integration, taken as it is given."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=LONGEST_ID, trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: object) -> str:
        """The id, when an integration can have it."""
        value = super().to_internal_value(data)
        if not is_integration_id(value):
            raise serializers.ValidationError("Use letters, digits, spaces and ~ : . @ _ - only.")
        return value


class ConnectionIdField(TextField):
    """The id of a connection, taken as it is given."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=LONGEST_ID, trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: object) -> str:
        """The id, when a connection can have it."""
        value = super().to_internal_value(data)
        if not is_connection_id(value):
            raise serializers.ValidationError("This is not a connection id.")
        return value


class NewConnectionIdField(ConnectionIdField):
    """The id of a connection to be made."""

    def to_internal_value(self, data: object) -> str:
        """The id, when a connection that has it is found again."""
        value = super().to_internal_value(data)
        if not is_addressable(value):
            raise serializers.ValidationError(ADDRESSABLE_RULE)
        return value


class SecretField(TextField):
    """A secret, taken as it is given."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=_LONGEST_SECRET, trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: object) -> str:
        """The secret, when it is no longer than Nango takes it."""
        value = super().to_internal_value(data)
        if length_at_nango(value) > _LONGEST_SECRET:
            self.fail("max_length", max_length=_LONGEST_SECRET)
        return value


class ObjectField(serializers.DictField):
    """A JSON object with anything in it, except what no database keeps as text."""

    def to_internal_value(self, data: Any) -> dict[str, object]:
        """The object as it is."""
        value: dict[str, object] = super().to_internal_value(data)
        try:
            encoded = orjson.dumps({"room": {"for": {"the": {"call": value}}}})
        except orjson.JSONEncodeError as error:
            raise serializers.ValidationError("This is nested too deeply.") from error
        if b"\\u0000" in encoded:
            raise serializers.ValidationError("Null characters are not allowed.")
        return value


class ConnectionAddressSerializer(serializers.Serializer[Any]):
    """Which connection."""

    integration_id = IntegrationIdField()
    connection_id = ConnectionIdField()


class ConnectSessionRequestSerializer(serializers.Serializer[Any]):
    """What to connect; with `connection_id` that connection is reconnected."""

    integration_id = IntegrationIdField()
    connection_id = ConnectionIdField(required=False)


class CredentialsSerializer(serializers.Serializer[Any]):
    """A user name and a password, or an API key."""

    username = SecretField(required=False, allow_blank=True)
    password = SecretField(required=False, allow_blank=True)
    apiKey = SecretField(required=False)  # noqa: N815 - the contract's name

    def validate(self, attrs: Mapping[str, str]) -> BasicCredentials | APIKeyCredentials:
        """The credentials of the kind that was given."""
        match sorted(attrs):
            case ["apiKey"]:
                return APIKeyCredentials(attrs["apiKey"])
            case ["password", "username"]:
                return BasicCredentials(attrs["username"], attrs["password"])
            case _:
                raise serializers.ValidationError("Give either username and password, or apiKey.")


class NewConnectionSerializer(serializers.Serializer[Any]):
    """A connection to make, with its credentials."""

    integration_id = IntegrationIdField()
    connection_id = NewConnectionIdField()
    credentials = CredentialsSerializer()
    connection_config = ObjectField(required=False)


class IntegrationAnswerSerializer(serializers.Serializer[Any]):
    """An integration."""

    id = serializers.CharField()
    provider = serializers.CharField()
    displayName = serializers.CharField()  # noqa: N815 - the contract's name
    logo = serializers.CharField(allow_null=True)


class TroubleSerializer(serializers.Serializer[Any]):
    """Something wrong: "auth" means reconnect it, "deletion" that it was to be deleted and is still there."""

    type = serializers.CharField()
    log_id = serializers.CharField(allow_blank=True)


class ConnectionAnswerSerializer(serializers.Serializer[Any]):
    """A connection of the caller's, without its credentials."""

    connection_id = serializers.CharField()
    provider_config_key = serializers.CharField()
    provider = serializers.CharField()
    created_at = serializers.DateTimeField()
    created = serializers.DateTimeField(help_text="The older name of created_at.")
    errors = TroubleSerializer(many=True)  # type: ignore[assignment]  # the contract's name is DRF's property
    metadata = serializers.DictField(allow_null=True)


class CredentialsAnswerSerializer(serializers.Serializer[Any]):
    """A connection's credentials; `raw` has the shape of the integration's kind."""

    token = serializers.CharField(allow_blank=True)
    connectionConfig = serializers.DictField()  # noqa: N815 - the contract's name
    raw = serializers.DictField()


class ConnectSessionAnswerSerializer(serializers.Serializer[Any]):
    """A link that the caller opens in a browser within half an hour, signed in as themselves.

    `token` names the link, and opens nothing by itself.
    """

    token = serializers.CharField()
    connectLink = serializers.CharField()  # noqa: N815 - the contract's name
    expiresAt = serializers.DateTimeField()  # noqa: N815 - the contract's name


class CreatedConnectionSerializer(serializers.Serializer[Any]):
    """The connection that was made."""

    connection_id = serializers.CharField()


class OkSerializer(serializers.Serializer[Any]):
    """The answer where there is nothing to tell."""

    ok = serializers.BooleanField()


class WebhookAnswerSerializer(serializers.Serializer[Any]):
    """What became of a webhook."""

    status = serializers.ChoiceField(choices=["done", "ignored"])
