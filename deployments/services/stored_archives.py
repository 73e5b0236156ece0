"""Removing uploaded archives from the storage, a folder or an S3-compatible store."""

from django.core.files.storage import default_storage


def remove(name: str) -> None:
    """Remove the archive; one that is gone already is fine. Raises what the storage raises when it is away."""
    if name:
        default_storage.delete(name)
