"""Bringing our record of connections in line with all that Nango has."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from integrations.models import Connection, StrangeConnection
from integrations.services import credential_cache
from integrations.services.access import Found, adopt, claimants, confirm, rows_of
from integrations.services.deletion import write_down
from integrations.services.unfinished import finish_left_behind
from integrations.sources.nango import Connection as Listed
from integrations.sources.nango import Nango, Strange

logger = logging.getLogger(__name__)

State = Connection.State
RECONCILE = "integrations.reconcile"
_LONGEST_REASON = 100


@dataclass
class Counts:
    """What a reconciliation did. `unfinished` deletions are tried again by the next one."""

    seen: int = 0
    strange: int = 0
    adopted: int = 0
    disputed: int = 0
    unowned: int = 0
    missing: int = 0
    dropped: int = 0
    released: int = 0
    deleted: int = 0
    unfinished: int = 0


def reconcile_connections(*, now: datetime) -> Counts:
    """Adopt what is new, mark what is gone, drop what was gone before, finish deletions.

    A row goes only when two runs, or a run and a listing before it, missed its connection: offsets
    shift when something is deleted while we page. Claims that may be in flight are left alone.
    Raises the client's errors; what was done until then stays.
    """
    nango, counts = Nango.from_settings(), Counts()
    # One time for all pages: what was deleted since the first one was asked for is compared by the next run.
    asked = time.monotonic()
    for page in nango.pages_of_connections():
        _take(page.connections, counts, asked=asked, now=now)
        _note_strange(page.strange, counts, now=now)
    StrangeConnection.objects.exclude(seen_at=now).delete()
    counts.dropped = _dropped(now=now)
    counts.missing = (
        Connection.objects.filter(state=State.ACTIVE, missing_since=None)
        .exclude(confirmed_at__gte=now)
        .exclude(created_at__gte=now)
        .update(missing_since=now)
    )
    finished = finish_left_behind(now=now, most=None, whatever_failed=True)
    counts.released, counts.deleted = finished.released, finished.deleted
    counts.unfinished = Connection.objects.filter(state=State.DELETING, deleted_at=None).count()
    return counts


def _take(page: tuple[Listed, ...], counts: Counts, *, asked: float, now: datetime) -> None:
    """Compare one page with our rows."""
    counts.seen += len(page)
    rows = rows_of([_address(item) for item in page])
    known = claimants((item.owner, item.organization) for item in page if _address(item) not in rows)
    new: list[Found] = []
    there: list[Connection] = []
    for item in page:
        row = rows.get(_address(item))
        claimant = known.get((item.owner, item.organization))
        if row is None and claimant is None:
            counts.unowned += 1
        elif row is None and claimant is not None:
            new.append(Found(item.integration_id, item.connection_id, item.provider, item.needs_reconnect, claimant))
        elif row is not None and str(row.owner_id) != item.owner:
            counts.disputed += 1
            logger.error("connection %s bears tags that are not its owner's", row.pk)
        elif row is not None:
            row.needs_reconnect = item.needs_reconnect
            row.provider = item.provider
            there.append(row)
    counts.adopted += adopt(new, asked=asked, found_by="reconciliation", actor=None, now=now)
    _confirm(there, now=now)


def _note_strange(items: Sequence[Strange], counts: Counts, *, now: datetime) -> None:
    """Keep what can't be read for operators to see. A connection of ours that it is, is there all the same."""
    counts.strange += len(items)
    seen = [
        StrangeConnection(
            integration_id=item.integration_id, connection_id=item.connection_id, reason=item.reason[:_LONGEST_REASON],
            first_seen_at=now, seen_at=now,
        )
        for item in {(item.integration_id, item.connection_id): item for item in items}.values()
    ]  # fmt: skip
    StrangeConnection.objects.bulk_create(
        seen,
        update_conflicts=True,
        unique_fields=["integration_id", "connection_id"],
        update_fields=["reason", "seen_at"],
    )
    there = rows_of([(item.integration_id, item.connection_id) for item in items])
    Connection.objects.filter(pk__in=[row.pk for row in there.values()], state=State.ACTIVE).update(
        confirmed_at=now, missing_since=None
    )


def _confirm(rows: list[Connection], *, now: datetime) -> None:
    for troubled in (True, False):
        Connection.objects.filter(
            pk__in=[row.pk for row in rows if row.needs_reconnect is troubled], state=State.ACTIVE
        ).update(confirmed_at=now, missing_since=None, needs_reconnect=troubled)
    for row in rows:
        if row.state == State.CLAIMING and row.is_left_behind(now=now):
            confirm(row, provider=row.provider, found_by="reconciliation", actor=None, now=now)


def _dropped(*, now: datetime) -> int:
    """Drop the rows that were missing before and were not seen now."""
    gone = Connection.objects.filter(state=State.ACTIVE, missing_since__lt=now)
    count = 0
    for row in gone:
        with transaction.atomic():
            deleted, _ = gone.filter(pk=row.pk).delete()
            if deleted:
                credential_cache.drop_of(row.owner_id)
                write_down("connection.dropped", row, actor=None)
        count += deleted
    return count


def _address(item: Listed) -> tuple[str, str]:
    return item.integration_id, item.connection_id
