"""System checks of the settings as a whole; a single bad value already stops the start."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name


@register(Tags.caches, deploy=True)
def shared_counts(app_configs: object, **_kwargs: Any) -> list[CheckMessage]:
    """Without Redis each process counts and caches for itself."""
    if settings.REDIS_URL:
        return []
    return [
        Warning(
            "REDIS_URL is not set: every process keeps its own cache and counts its own rate limits.",
            hint="With n processes the limits are n times as high, each asks Nango for itself, and by default no "
            "credentials are kept. Set REDIS_URL, or run one process and live with this warning.",
            id="crayon.W001",
        )
    ]


@register(Tags.security, deploy=True)
def public_address_is_https(app_configs: object, **_kwargs: Any) -> list[CheckMessage]:
    """Tokens and session cookies must not travel in clear."""
    if settings.IS_SECURE:
        return []
    return [
        Error(
            "PUBLIC_URL is not https: tokens and sessions would travel in clear.",
            hint="Put a proxy with a certificate in front, and set PUBLIC_URL to its https:// address.",
            id="crayon.E001",
        )
    ]


@register(Tags.security)
def one_way_to_the_client_address(app_configs: object, **_kwargs: Any) -> list[CheckMessage]:
    """Two rules for one fact would leave it to chance which one holds."""
    if not (settings.CLIENT_ADDRESS_HEADER and settings.TRUSTED_PROXY_COUNT):
        return []
    return [
        Error(
            "CLIENT_ADDRESS_HEADER and TRUSTED_PROXY_COUNT are both set.",
            hint="Keep the one that fits the proxy in front of this server.",
            id="crayon.E002",
        )
    ]
