"""System checks of deployments."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004 - Django's name

from deployments.services import archive_storage


@register(deploy=True)
def archives_reach_the_workers(app_configs: object, **_kwargs: Any) -> list[CheckMessage]:
    """A folder is seen by the processes of one machine only."""
    if not settings.FLY_API_TOKEN or not archive_storage.lie_in_a_folder():
        return []
    if not archive_storage.reach_the_workers():
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
