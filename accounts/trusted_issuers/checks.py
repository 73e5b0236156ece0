"""System checks of what CONFIG_FILE says together with the other settings."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name
from django.db import DatabaseError

from accounts.services.configured_organizations import differing
from accounts.trusted_issuers.resolution import issuer_name
from core.startup import at_start

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def _place(name: str) -> str:
    """Where in the file a value is."""
    line = settings.CONFIG_LINES.get(name)
    return f"line {line} of CONFIG_FILE, {name}" if line else f"{name} of CONFIG_FILE"


@at_start
@register(Tags.security)
def issuer_is_somebody_else(app_configs: object = None, **_kwargs: Any) -> list[CheckMessage]:
    """A server that took its own tokens as another's would know its people twice."""
    if settings.TRUSTED_TOKENS is None or settings.TRUSTED_TOKENS.issuer.rstrip("/") != settings.PUBLIC_URL:
        return []
    return [
        Error(
            f"{_place('auth.better_auth_jwt.issuer')}: this is PUBLIC_URL, and this server needs nobody's word for its "
            "own tokens.",
            hint="Name the application that people sign in to, or leave [auth.better_auth_jwt] out.",
            id="crayon.E061",
        )
    ]


@at_start
@register(Tags.security)
def issuer_is_asked_over_tls(app_configs: object = None, **_kwargs: Any) -> list[CheckMessage]:
    """Who can answer in the issuer's place can let everybody in, and read the keys that are asked about."""
    if not settings.IS_SECURE:
        return []
    trusted, asked = settings.TRUSTED_TOKENS, settings.KEY_VALIDATION
    addresses = {
        "auth.better_auth_jwt.jwks_uri": trusted.jwks_uri if trusted else "",
        "auth.better_auth.validation_url": asked.validation_url if asked else "",
    }
    return [
        Error(
            f"{_place(name)}: it is http://, so whoever is in between can let anybody in.",
            hint="Give the https:// address. Only loopback may do without.",
            id="crayon.E062",
        )
        for name, address in addresses.items()
        if address and urlsplit(address).scheme == "http" and urlsplit(address).hostname not in _LOOPBACK
    ]


@register(Tags.security, deploy=True)
def organizations_have_an_issuer(app_configs: object, **_kwargs: Any) -> list[CheckMessage]:
    """Tokens of an issuer without any organization for them are all refused."""
    if settings.TRUSTED_TOKENS is None or settings.CONFIGURED_ORGANIZATIONS or settings.ORGS_AUTO_CREATE:
        return []
    return [
        Warning(
            f"{_place('auth.better_auth_jwt')}: there is no [[orgs]], and auto_create is off, so its people get in "
            "only where an organization here takes its tokens already.",
            hint="List organizations, or set auto_create = true in [auth.org_resolver].",
            id="crayon.W061",
        )
    ]


@register(Tags.database)
def organizations_are_as_configured(
    app_configs: object, databases: Sequence[str] | None = None, **_kwargs: Any
) -> list[CheckMessage]:
    """What CONFIG_FILE lists is made by a command, which somebody may have forgotten."""
    if not databases or not settings.CONFIGURED_ORGANIZATIONS:
        return []
    try:
        slugs = differing(organizations=settings.CONFIGURED_ORGANIZATIONS, issuer=issuer_name())
    except DatabaseError:
        return []  # not migrated yet, or away: other checks and /_/ready say so
    if not slugs:
        return []
    return [
        Warning(
            f"{_place('orgs')}: {', '.join(slugs)} is not in the database as the file says.",
            hint="Run `python manage.py sync_organizations`.",
            id="crayon.W062",
        )
    ]
