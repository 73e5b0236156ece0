"""System checks of cloud dev machines."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name
from django.core.exceptions import ImproperlyConfigured

from clouddev.devui import Signer

_HINT = "Make one with `openssl genpkey -algorithm ed25519`; its newlines may be written as `\\n`."


@register(Tags.security)
def signing_key_is_one(app_configs: object, **_kwargs: Any) -> list[CheckMessage]:
    """A key that can't be read would be noticed by the first person who opens their machine."""
    if not settings.DEV_UI_JWT_PRIVATE_KEY:
        return []
    try:
        Signer.from_pem(settings.DEV_UI_JWT_PRIVATE_KEY)
    except ImproperlyConfigured as error:
        return [Error(str(error), hint=_HINT, id="crayon.E041")]
    return []


@register(Tags.security, deploy=True)
def signing_key_is_set(app_configs: object, **_kwargs: Any) -> list[CheckMessage]:
    """Machines are made at Fly, and nobody could open one without a key."""
    if settings.DEV_UI_JWT_PRIVATE_KEY or not settings.FLY_API_TOKEN:
        return []
    return [
        Warning(
            "DEV_UI_JWT_PRIVATE_KEY is not set: cloud dev machines can be neither made nor opened.",
            hint=_HINT,
            id="crayon.W041",
        )
    ]
