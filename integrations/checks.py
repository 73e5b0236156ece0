"""System checks of the access to Nango."""

import uuid
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register  # noqa: A004 - Django's name

from integrations.nango_ids import CLOUD_HOST


@register
def nango_key_looks_like_one(app_configs: object, **_kwargs: Any) -> list[CheckMessage]:
    """Nango's environment keys are UUIDs; anything else is refused on every call."""
    if not settings.NANGO_SECRET_KEY or _is_uuid(settings.NANGO_SECRET_KEY):
        return []
    return [
        Warning(
            "NANGO_SECRET_KEY does not look like a key of Nango's: those are UUIDs.",
            hint="Copy the API key from the environment's settings in Nango, not the webhook signing key.",
            id="crayon.W021",
        )
    ]


@register
def nango_webhooks_can_be_checked(app_configs: object, **_kwargs: Any) -> list[CheckMessage]:
    """Without the signing key every webhook is refused."""
    if not settings.NANGO_SECRET_KEY or settings.NANGO_WEBHOOK_SIGNING_KEY:
        return []
    return [
        Warning(
            "NANGO_WEBHOOK_SIGNING_KEY is not set: Nango's webhooks are refused, so new connections are seen only "
            "when they are listed, and renewed credentials only when the kept ones run out.",
            hint="Copy the webhook signing key from Nango, and give Nango the address PUBLIC_URL/webhooks/nango.",
            id="crayon.W022",
        )
    ]


@register
def nango_can_be_reached_from_browsers(app_configs: object, **_kwargs: Any) -> list[CheckMessage]:
    """The page for connecting runs in the browser and asks Nango's cloud unless the link names another Nango."""
    if not settings.NANGO_SECRET_KEY or settings.NANGO_CONNECT_API_URL:
        return []
    if urlsplit(settings.NANGO_SERVER_URL).hostname == CLOUD_HOST:
        return []
    return [
        Warning(
            "NANGO_CONNECT_API_URL is not set: links for connecting an account name NANGO_SERVER_URL, which people's "
            "browsers may not reach.",
            hint="Set it to the address under which browsers reach this Nango, even if it is the same.",
            id="crayon.W025",
        )
    ]


@register(deploy=True)
def nango_is_configured(app_configs: object, **_kwargs: Any) -> list[CheckMessage]:
    """Without a key every route of integrations, connections and credentials answers 503."""
    if settings.NANGO_SECRET_KEY:
        return []
    return [
        Warning(
            "NANGO_SECRET_KEY is not set: nobody can connect an account or get a credential.",
            hint="Copy the API key from the environment's settings in Nango, or leave Nango out on purpose.",
            id="crayon.W024",
        )
    ]


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
