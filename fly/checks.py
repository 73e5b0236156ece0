"""System checks of the access to Fly."""

from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.security, deploy=True)
def apps_answer_in_public(app_configs: object, **_kwargs: Any) -> list[CheckMessage]:
    """Workers ask there whether an app answers, and must not knock at what is private to this server."""
    parts = urlsplit(settings.FLY_APP_URL.replace("{app}", "app"))
    if settings.DEBUG or (parts.scheme == "https" and not _is_private(parts.hostname or "")):
        return []
    return [
        Error(
            "FLY_APP_URL is not a public https address.",
            hint="Leave it out, or set it to where apps answer for everybody, such as https://{app}.fly.dev.",
            id="crayon.E033",
        )
    ]


def _is_private(host: str) -> bool:
    """Whether the host is this machine by its name, or an address that isn't public."""
    name = host.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return not ip_address(name).is_global
    except ValueError:
        return False  # a name
