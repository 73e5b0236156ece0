"""Shapes of the login API's requests and answers."""

from typing import Any

from rest_framework import serializers

from config.core.api import TextField


class StartSerializer(serializers.Serializer[Any]):
    """What a CLI may say of itself."""

    clientName = TextField(required=False, allow_blank=True, max_length=100, default="")  # noqa: N815 - the contract's
    hostname = TextField(required=False, allow_blank=True, max_length=255, default="")


class StartedSerializer(serializers.Serializer[Any]):
    """The code to show and the secret to keep."""

    code = serializers.RegexField(r"^[0-9a-f]{8}$")
    secret = serializers.RegexField(r"^[0-9a-f]{32}$")


class StatusSerializer(serializers.Serializer[Any]):
    """A poll's answer; the token only with `approved`."""

    status = serializers.ChoiceField(["pending", "approved", "denied", "expired"])
    token = serializers.CharField(required=False)


class RevokedSerializer(serializers.Serializer[Any]):
    """A logout's answer."""

    status = serializers.ChoiceField(["revoked"])
