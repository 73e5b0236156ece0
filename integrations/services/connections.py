"""Listing a person's connections of one integration."""

import logging
import time
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db.models import Q

from accounts.principals import Principal
from integrations.models import Connection
from integrations.nango_ids import is_integration_id
from integrations.services.access import adopt, found_for, spend_call
from integrations.services.decisions import may
from integrations.sources.nango import Connection as Listed
from integrations.sources.nango import Nango, Trouble, UnknownIntegration

logger = logging.getLogger(__name__)

State = Connection.State
# Among a connection's errors: its owner had it deleted, and it is still there.
NOT_DELETED_YET = Trouble(type="deletion", log_id="")


def list_connections(*, caller: Principal, integration_id: str, now: datetime) -> list[Listed]:
    """The caller's connections of the integration, newest first; none of an unknown one.

    Only what bears the caller's tags is asked for. What is recorded for somebody else or in another organization, what
    the policies don't let the caller see, and what is being deleted is left out, but a deletion that does not get done
    is told as an error of the connection. Raises UnknownIntegration for an id that none can have, and the client's
    errors.
    """
    if not is_integration_id(integration_id):
        raise UnknownIntegration
    spend_call(caller)
    asked = time.monotonic()
    pages = list(Nango.from_settings().pages_of_connections(owner=str(caller.id), integration_id=integration_id))
    listed = [
        item
        for page in pages
        for item in page.connections
        if item.owner == str(caller.id) and item.integration_id == integration_id
    ]
    strange = {item.connection_id for page in pages for item in page.strange}
    if strange:
        logger.warning("%s of a person's connections of %s can't be read", len(strange), integration_id)
    rows = _rows(caller, integration_id, listed)
    new = [item for item in listed if item.connection_id not in rows]
    if new:
        adopt(found_for(caller, new), asked=asked, found_by="list", actor=caller, now=now)
        # What was recorded meanwhile may have become somebody else's.
        rows = _rows(caller, integration_id, listed)
    # What can't be read is there all the same.
    _note(listed, {name: row for name, row in rows.items() if name not in strange}, caller=caller, asked=asked, now=now)
    shown = (_as_shown(item, rows.get(item.connection_id), caller, now=now) for item in listed)
    return [item for item in shown if item]


def _rows(caller: Principal, integration_id: str, listed: list[Listed]) -> dict[str, Connection]:
    """The rows of what is listed, and all others of the caller, by connection id, each with its organization."""
    rows = (
        Connection.objects.select_related("organization")
        .filter(integration_id=integration_id)
        .filter(Q(owner_id=caller.id) | Q(connection_id__in=[item.connection_id for item in listed]))
    )
    return {row.connection_id: row for row in rows}


def _as_shown(item: Listed, row: Connection | None, caller: Principal, *, now: datetime) -> Listed | None:
    if row is None or row.owner_id != caller.id or not may(caller, "connections.view", row):
        return None
    if row.state != State.DELETING:
        return item
    return replace(item, errors=(*item.errors, NOT_DELETED_YET)) if row.is_overdue(now=now) else None


def _note(listed: list[Listed], rows: dict[str, Connection], *, caller: Principal, asked: float, now: datetime) -> None:
    """Bring our rows up to what was seen, writing only what changed."""
    seen = {item.connection_id: item for item in listed}
    own = [row for row in rows.values() if row.owner_id == caller.id]
    claims = [row.connection_id for row in own if row.state == State.CLAIMING and row.connection_id in seen]
    claimed = found_for(caller, [seen[connection_id] for connection_id in claims])
    adopt(claimed, asked=asked, found_by="list", actor=caller, now=now)
    active = [row for row in own if row.state == State.ACTIVE]
    there = [(row, seen[row.connection_id].needs_reconnect) for row in active if row.connection_id in seen]
    _set(
        [row for row in active if row.connection_id not in seen and row.missing_since is None],
        # A row confirmed since belongs to a connection made while we were asking.
        only=Q(confirmed_at=None) | Q(confirmed_at__lt=now),
        missing_since=now,
    )
    _set([row for row, _ in there if row.missing_since], missing_since=None, confirmed_at=now)
    _set([row for row, troubled in there if troubled and not row.needs_reconnect], needs_reconnect=True)
    _set([row for row, troubled in there if row.needs_reconnect and not troubled], needs_reconnect=False)


def _set(rows: list[Connection], *, only: Q | None = None, **changes: Any) -> None:
    if rows:
        Connection.objects.filter(only or Q(), pk__in=[row.pk for row in rows]).update(**changes)
