"""What was deleted a moment ago: what Nango said of it before is not to be recorded anew.

Nango's answers and webhooks are read after they were made. Meanwhile the connection may have been deleted, and its row
with it, so that nothing else tells a connection that is new to us from one that is gone. Times are the database's, and
how long ago Nango was asked is measured where it was: no two clocks are compared.
"""

import time
from collections.abc import Iterable
from datetime import timedelta

from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from integrations.models import Connection, Tombstone

# Far longer than anybody waits for Nango, page for page.
_KEPT_FOR = timedelta(hours=1)


def put(row: Connection) -> None:
    """Note that this connection is deleted as of now. In the transaction that deletes its row."""
    Tombstone.objects.bulk_create(
        [Tombstone(integration_id=row.integration_id, connection_id=row.connection_id, deleted_at=Now())],
        update_conflicts=True,
        unique_fields=["integration_id", "connection_id"],
        update_fields=["deleted_at"],
    )


def since(asked: float) -> Exists:
    """Give a condition for connections: one at the same address was deleted since then, by `time.monotonic()`."""
    return Exists(
        Tombstone.objects.filter(
            integration_id=OuterRef("integration_id"),
            connection_id=OuterRef("connection_id"),
            deleted_at__gt=Now() - timedelta(seconds=time.monotonic() - asked),
        )
    )


def among(rows: Iterable[Connection], *, since_asked: float) -> set[Connection]:
    """Give the rows that took the place of one that was deleted since then."""
    there = Connection.objects.filter(pk__in=[row.pk for row in rows])
    return set(there.filter(since(since_asked)))


def forget_old() -> int:
    """Delete those that matter to nobody any more; gives how many."""
    return Tombstone.objects.filter(deleted_at__lt=Now() - _KEPT_FOR).delete()[0]
