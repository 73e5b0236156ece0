"""System checks of sign-in."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name


@register(Tags.security)
def allow_list_is_not_empty(app_configs: object, **_kwargs: Any) -> list[CheckMessage]:
    """An allow-list without entries would let nobody in, which is hardly meant."""
    if settings.SIGNUP_POLICY != "allowlist" or any(
        (
            settings.SIGNUP_ALLOWED_LOGINS,
            settings.SIGNUP_ALLOWED_ORGANIZATIONS,
            settings.SIGNUP_ALLOWED_EMAIL_DOMAINS,
        )
    ):
        return []
    return [
        Error(
            "SIGNUP_POLICY is allowlist, but the list is empty.",
            hint="Set SIGNUP_ALLOWED_LOGINS, SIGNUP_ALLOWED_ORGANIZATIONS or SIGNUP_ALLOWED_EMAIL_DOMAINS.",
            id="crayon.E011",
        )
    ]


@register(Tags.security, deploy=True)
def github_is_configured(app_configs: object, **_kwargs: Any) -> list[CheckMessage]:
    """Without GitHub only operators with a password can sign in."""
    if settings.GITHUB_CLIENT_ID:
        return []
    return [
        Warning(
            "GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET are not set: nobody can sign in with GitHub.",
            hint="Register an OAuth app at GitHub with the callback PUBLIC_URL/api/auth/github/callback.",
            id="crayon.W011",
        )
    ]
