"""Giving the slug of a deleted organization away again, which only an operator may."""

from django.db import transaction

from accounts import audit
from accounts.models import RetiredSlug
from core.errors import NotFound


class NotRetired(NotFound):
    """404: no deleted organization had this slug."""

    default = "No organization that was deleted had this slug."


@transaction.atomic
def free(*, slug: str) -> None:
    """Let another organization have the slug from now on. Raises NotRetired."""
    row = RetiredSlug.objects.select_for_update().filter(slug=slug).first()
    if row is None:
        raise NotRetired
    audit.record("organization.slug_freed", actor=None, target=row, organization_id=row.organization_id)
    row.delete()
