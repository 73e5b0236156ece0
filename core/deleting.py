"""Deleting many rows piece by piece, so that nobody waits for a lock until all are gone."""

from typing import Any

from django.db.models import QuerySet

_AT_ONCE = 5000


def delete_in_batches(rows: QuerySet[Any]) -> int:
    """Delete the rows, each few thousand in a statement of their own; says how many went."""
    count = 0
    while keys := list(rows.order_by().values_list("pk", flat=True)[:_AT_ONCE]):
        # What has changed since it was looked up may be none of them any more.
        count += rows.filter(pk__in=keys).delete()[0]
    return count
