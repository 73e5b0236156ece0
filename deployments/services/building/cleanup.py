"""What is left to do when a build is over: its archive, and whoever waited for its place."""

import uuid

from deployments.models import Build
from deployments.services import archive_storage, queue

_MOST_NUDGES = 20


def tidy(build_id: uuid.UUID) -> None:
    """Remove the archive of a build that is over, and let those go on that waited for it. Can be repeated."""
    build = Build.objects.filter(pk=build_id).exclude(finished_at=None).first()
    if build is None:
        return
    forget_archive(build)
    waiting = Build.objects.waiting().filter(organization=build.organization_id).order_by("created_at", "pk")
    for other in waiting.values_list("pk", flat=True)[:_MOST_NUDGES]:
        queue.enqueue(other)


def forget_archive(build: Build) -> None:
    """Remove the archive from the storage, then its name: until then the sweep tries again."""
    if build.archive:
        archive_storage.remove(build.archive)
        Build.objects.filter(pk=build.pk).update(archive="")
