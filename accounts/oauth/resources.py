"""Whom a token is for (RFC 8707): services of this server's, and those that an operator lists."""

from collections.abc import Sequence

from django.conf import settings
from oauthlib.oauth2.rfc6749.errors import CustomOAuth2Error


def own(path: str) -> str:
    """The identifier of a service of this server's."""
    return f"{settings.PUBLIC_URL}/{path}" if path else str(settings.PUBLIC_URL)


# The services of this server's that publish who may issue tokens for them (RFC 9728), by their path.
OWN_PATHS = ("", "api")


def known() -> list[str]:
    """All that tokens may be asked for."""
    return [*map(own, OWN_PATHS), *settings.OAUTH_RESOURCES]


def audiences() -> list[str]:
    """All that may stand as `aud` in a token of this server's."""
    return [settings.TOKEN_AUDIENCE, *known()]


def accepted(asked: Sequence[str], *, state: str | None = None) -> list[str]:
    """What a client asked for, without a slash at the end. Raises `invalid_target` for a service not known here."""
    wanted = [resource.rstrip("/") for resource in asked if resource]
    there = {resource.rstrip("/") for resource in known()}
    strange = next((resource for resource in wanted if resource not in there), None)
    if strange is not None:
        raise CustomOAuth2Error(
            error="invalid_target", description="This server issues no tokens for that resource.", state=state
        )
    return list(dict.fromkeys(wanted))


def narrowed(asked: Sequence[str], *, granted: Sequence[str]) -> list[str]:
    """What a token is for: what is asked for of what was granted. Raises `invalid_target` for anything beyond."""
    wanted = accepted(asked)
    if not wanted:
        return list(granted)
    if set(wanted) <= set(granted or map(own, OWN_PATHS)):
        return wanted
    raise CustomOAuth2Error(error="invalid_target", description="The person did not agree to that resource.")
