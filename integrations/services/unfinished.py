"""Finishing what was left half made or half deleted: the outcome of a call was open, or Nango failed.

A job of its own, so that neither the length of the list at Nango nor a refusal there keeps a credential alive
that its owner asked to delete.
"""

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, Q

from core.errors import ApplicationError
from core.http_client import ServiceFailed, ServiceTimeout
from integrations.models import Connection
from integrations.services.access import confirm
from integrations.services.deletion import finish_deletion
from integrations.sources.nango import Nango, NangoBusy, NangoRefusesKey

logger = logging.getLogger(__name__)

State = Connection.State
# What one run takes on, every ten seconds: two calls each, of the few that all share.
_MOST_A_RUN = 5
_FIRST_PAUSE = timedelta(seconds=15)
_LONGEST_PAUSE = timedelta(minutes=5)
# After these the next row would fare no better.
_NANGO_IS_OUT = (NangoBusy, NangoRefusesKey, ServiceFailed, ServiceTimeout)


@dataclass
class Finished:
    """How many claims turned out to be there, how many were given up, and how many deletions were done."""

    confirmed: int = 0
    released: int = 0
    deleted: int = 0


def finish_left_behind(*, now: datetime, most: int | None = _MOST_A_RUN, whatever_failed: bool = False) -> Finished:
    """Finish what waits longest. One that fails waits for a growing while, unless `whatever_failed` is to be tried.

    Ends early when Nango takes no more calls. Raises NangoNotConfigured.
    """
    left, finished = Connection.objects.left_behind(now=now), Finished()
    if not whatever_failed:
        left = left.filter(Q(try_again_at=None) | Q(try_again_at__lte=now))
    rows, began = list(left[:most]), time.monotonic()
    if not rows:
        return finished
    nango = Nango.from_settings()
    for row in rows:
        # A claim counts from when it is made, and a long run makes its last one late.
        moment = now + timedelta(seconds=time.monotonic() - began)
        try:
            _finish(nango, row, finished, now=moment)
        except ApplicationError as error:
            if not isinstance(error, NangoBusy):
                _put_off(row, error, now=moment)
            if isinstance(error, _NANGO_IS_OUT):
                break
    return finished


def _finish(nango: Nango, row: Connection, finished: Finished, *, now: datetime) -> None:
    if row.state == State.DELETING:
        finished.deleted += finish_deletion(nango, row, now=now)
        return
    listed = nango.find_connection(integration_id=row.integration_id, connection_id=row.connection_id)
    if listed and listed.owner == str(row.owner_id):
        finished.confirmed += confirm(row, provider=listed.provider, found_by="reconciliation", actor=None, now=now)
    else:
        # Unless the owner's next attempt took it over meanwhile.
        same = {"state": State.CLAIMING, "claim": row.claim, "claimed_at": row.claimed_at}
        finished.released += Connection.objects.filter(pk=row.pk, **same).delete()[0]


def _put_off(row: Connection, error: ApplicationError, *, now: datetime) -> None:
    pause = min(_FIRST_PAUSE * 2 ** min(row.failures, 10), _LONGEST_PAUSE)
    unfinished = Connection.objects.filter(pk=row.pk).exclude(state=State.ACTIVE)
    unfinished.update(failures=F("failures") + 1, try_again_at=now + pause)
    level = logging.ERROR if row.is_overdue(now=now) else logging.WARNING
    logger.log(level, "connection %s is not finished yet (%s): %s", row.pk, row.state, error)
