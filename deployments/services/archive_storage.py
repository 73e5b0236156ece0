"""Uploaded archives in the storage, a folder or an S3-compatible store: their limits, and removing them."""

from django.conf import settings
from django.core.files.storage import default_storage

from deployments.archives import Limits


def limits() -> Limits:
    """What an archive may hold."""
    return Limits(expanded=settings.ARCHIVE_MAX_EXPANDED_MEGABYTES << 20, entries=settings.ARCHIVE_MAX_FILES)


def reach_the_workers() -> bool:
    """Whether workers can see what is stored: on Fly they run on machines of their own, which share no folder."""
    return not (settings.IS_ON_FLY and lie_in_a_folder())


def lie_in_a_folder() -> bool:
    """Whether they are files here rather than objects in a bucket."""
    backend: str = settings.STORAGES["default"]["BACKEND"]
    return not backend.startswith("storages.")


def remove(name: str) -> None:
    """Remove the archive; one that is gone already is fine. Raises what the storage raises when it is away."""
    if name:
        default_storage.delete(name)
