"""Shapes of the login API's requests and answers."""

from typing import Any

from rest_framework import serializers

from core.api import TextField


class ShownField(TextField):
    """Words that people will be shown: without control characters, line breaks and turned writing directions."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.validators.append(_require_printable)


def _require_printable(words: str) -> None:
    if not words.isprintable():
        raise serializers.ValidationError("Only printable characters are allowed.")


class StartSerializer(serializers.Serializer[Any]):
    """What a CLI may say of itself."""

    clientName = ShownField(required=False, allow_blank=True, max_length=100, default="")  # noqa: N815 - the contract's
    hostname = ShownField(required=False, allow_blank=True, max_length=255, default="")


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
