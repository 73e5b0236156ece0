"""System checks of deployments."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register  # noqa: A004 - Django's name


@register(deploy=True)
def archives_reach_the_workers(app_configs: object, **_kwargs: Any) -> list[CheckMessage]:
    """A folder is seen by the processes of one machine only."""
    if not settings.FLY_API_TOKEN or settings.STORAGES["default"]["BACKEND"].startswith("storages."):
        return []
    return [
        Warning(
            "Archives are kept in a folder, so web and worker processes must run on one machine.",
            hint="Set S3_BUCKET and its key where they don't, or STORAGE_FOLDER to a folder that all of them share.",
            id="crayon.W031",
        )
    ]
