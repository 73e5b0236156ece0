"""System checks of deployments."""

from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name

from deployments.services import stored_archives


@register(deploy=True)
def archives_reach_the_workers(app_configs: object, **_kwargs: Any) -> list[CheckMessage]:
    """A folder is seen by the processes of one machine only."""
    if not settings.FLY_API_TOKEN or not stored_archives.lie_in_a_folder():
        return []
    if not stored_archives.reach_the_workers():
        return [
            Error(
                "Archives are kept in a folder, which workers on Fly, being machines of their own, can't see.",
                hint="Set S3_BUCKET and its key.",
                id="crayon.E032",
            )
        ]
    return [
        Warning(
            "Archives are kept in a folder, so web and worker processes must run on one machine.",
            hint="Set S3_BUCKET and its key where they don't, or STORAGE_FOLDER to a folder that all of them share.",
            id="crayon.W031",
        )
    ]


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
