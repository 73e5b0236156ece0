"""System checks of sign-in and of policies."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name
from django.db import DatabaseError

from accounts import authenticators
from accounts.models import Organization
from accounts.policies.loading import InvalidPolicies, NoPolicies, load
from accounts.static_keys import StaticKey
from core.database import outlast_restarts
from core.startup import at_start

# A web process that starts with its database waits for it so long; gunicorn gives it 30 seconds.
_PATIENCE_SECONDS = 15.0


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


@at_start
@register(Tags.security)
def policies_hold_together(app_configs: object = None, **_kwargs: Any) -> list[CheckMessage]:
    """Without policies that hold together nobody may do anything: better not to start at all."""
    directory = Path(settings.POLICIES_DIR) if settings.POLICIES_DIR else None
    try:
        load(directory)
    except NoPolicies as error:
        return [
            Error(
                str(error),
                hint="Its files end in .cedar. Mount it, or leave POLICIES_DIR unset to do with ours.",
                id="crayon.E013",
            )
        ]
    except InvalidPolicies as error:
        return [
            Error(
                f"The policies don't hold together: {error}",
                hint="Correct the files in POLICIES_DIR, or leave it unset; docs/policies.md says what is checked.",
                id="crayon.E012",
            )
        ]
    return []


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


@register(Tags.security, deploy=True)
def members_can_be_asked_for(app_configs: object, **_kwargs: Any) -> list[CheckMessage]:
    """Without a token of the server's own, who leaves a listed organization is noticed when they sign in again."""
    if settings.SIGNUP_POLICY != "allowlist" or not settings.SIGNUP_ALLOWED_ORGANIZATIONS or settings.GITHUB_ORG_TOKEN:
        return []
    return [
        Warning(
            "SIGNUP_ALLOWED_ORGANIZATIONS is set and GITHUB_ORG_TOKEN is not: somebody who leaves such an "
            "organization is refused at sign-in, and keeps what they have.",
            hint="Give it a token of an account in these organizations, with read:org or “Members: read”.",
            id="crayon.W013",
        )
    ]


@register(Tags.security, deploy=True)
def clients_have_addresses_of_their_own(app_configs: object, **_kwargs: Any) -> list[CheckMessage]:
    """Behind a proxy that is not known as one, all clients share its address, and with it their limits."""
    if not settings.IS_SECURE or settings.CLIENT_ADDRESS_HEADER or settings.TRUSTED_PROXY_COUNT:
        return []
    return [
        Warning(
            "PUBLIC_URL is https, but neither CLIENT_ADDRESS_HEADER nor TRUSTED_PROXY_COUNT is set: everybody comes "
            "from the proxy's address, so ten wrong guesses of one client shut out all others.",
            hint="Name the header that the proxy overwrites, or count the proxies that append to X-Forwarded-For.",
            id="crayon.W012",
        )
    ]


@register(Tags.security)
def chains_are_whole(app_configs: object, **_kwargs: Any) -> list[CheckMessage]:
    """A chain without authenticators, or with one that isn't there, must let nobody in: the server doesn't start."""
    return [
        Error(problem, hint="See CHAINS in accounts/authenticators.py.", id="crayon.E016")
        for problem in authenticators.problems()
    ]


@at_start
def chains_are_whole_at_start() -> list[CheckMessage]:
    """The same for a web process, which runs no system checks."""
    return chains_are_whole(None)


@at_start
def static_keys_are_of_organizations() -> list[CheckMessage]:
    """A configured key acts in an organization that is there; where nobody can tell, the server doesn't start.

    Not a system check: `migrate` runs those before there is any organization.
    """
    keys: dict[bytes, StaticKey] = settings.STATIC_API_KEYS
    if not keys:
        return []
    wanted = {key.organization_id for key in keys.values()}
    try:
        there = outlast_restarts(
            lambda: set(Organization.objects.filter(pk__in=wanted).values_list("pk", flat=True)),
            seconds=_PATIENCE_SECONDS,
        )
    except DatabaseError as error:
        return [
            Error(
                f"The organizations of STATIC_API_KEYS_FILE can't be looked up ({type(error).__name__}).",
                hint="Start the database, migrate it, and start the server again.",
                id="crayon.E014",
            )
        ]
    return [
        Error(
            f"STATIC_API_KEYS_FILE has a key of the organization {missing}, which is not there.",
            hint="Make the organization first, or remove the key.",
            id="crayon.E014",
        )
        for missing in sorted(wanted - there, key=str)
    ]


@at_start
@register(Tags.security)
def strangers_register_where_everybody_may_sign_up(app_configs: object = None, **_kwargs: Any) -> list[CheckMessage]:
    """Registering without a browser asks for no login, so it would go around an allow-list or a waiting list."""
    if not settings.REGISTRATION or settings.SIGNUP_POLICY == "open":
        return []
    return [
        Error(
            f"REGISTRATION is on, but SIGNUP_POLICY is {settings.SIGNUP_POLICY}: strangers would go around it.",
            hint="Set REGISTRATION=false, or SIGNUP_POLICY=open.",
            id="crayon.E015",
        )
    ]
