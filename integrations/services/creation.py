"""Making a connection from credentials that the caller hands in.

The row comes first: its unique address decides between callers who want the same one at once. Then
Nango is asked whether it has such a connection, and only then to make it. A claim whose maker never
came back can be finished by the same person, and is released for others once it is stale and Nango
has nothing of it.
"""

import logging
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from accounts.audit import record
from accounts.callers import Caller
from config.core.errors import ApplicationError, Conflict
from config.core.outgoing import ServiceFailed, ServiceTimeout
from config.core.ratelimits import RateLimit
from integrations.clients.nango import Connection as Listed
from integrations.clients.nango import Nango, NangoFailed
from integrations.credentials import Credentials
from integrations.models import Connection
from integrations.services import credential_cache
from integrations.services.ownership import tags_of

logger = logging.getLogger(__name__)

State = Connection.State
CREATIONS = RateLimit("connection-creations", "30/minute")
# Far longer than a request may last.
CLAIM_LASTS = timedelta(minutes=2)


class ConnectionIdTaken(Conflict):
    """409: there is a connection of this id, and it is not the caller's."""

    default = "This connection id is already in use. Choose another one."


class BeingDeleted(Conflict):
    """409: the caller's own connection of this id is half deleted."""

    default = "This connection is being deleted. Delete it once more, then create it."


def create_connection(  # noqa: PLR0913 - a connection has this many parts
    *,
    caller: Caller,
    integration_id: str,
    connection_id: str,
    credentials: Credentials,
    connection_config: Mapping[str, object] | None,
    now: datetime,
) -> None:
    """Make the connection, or replace the credentials of the caller's own one.

    Raises ConnectionIdTaken, BeingDeleted, the client's refusals of an import, and its other errors;
    after those that leave it open whether it was made, calling again settles it.
    """
    nango = Nango.from_settings()
    CREATIONS.spend(str(caller.id))
    claim = uuid.uuid4()
    row = Connection(
        integration_id=integration_id,
        connection_id=connection_id,
        owner_id=caller.id,
        organization_id=caller.organization_id,
        state=State.CLAIMING,
        claim=claim,
        claimed_at=now,
        created_at=now,
    )
    row = _claimed(nango, row, now=now)
    try:
        listed = _listed(nango, integration_id, connection_id)
        if listed and listed.owner != str(caller.id):
            raise ConnectionIdTaken
    except ApplicationError:
        _release(row, claim)
        raise
    try:
        nango.import_connection(
            integration_id=integration_id,
            connection_id=connection_id,
            credentials=credentials,
            tags=tags_of(caller),
            connection_config=connection_config,
        )
    except ApplicationError as error:
        if not _may_have_been_made(error):
            _release(row, claim)
        raise
    finally:
        credential_cache.drop(integration_id=integration_id, connection_id=connection_id)
    _finish(caller, row, replaced=listed is not None, now=now)


def _claimed(nango: Nango, row: Connection, *, now: datetime) -> Connection:
    """The row of this address, claimed by this attempt, or already an active one of the caller's."""
    rows = Connection.objects.at(integration_id=row.integration_id, connection_id=row.connection_id)
    for _ in range(3):
        Connection.objects.bulk_create([row], ignore_conflicts=True)
        there = rows.first()
        if there is None:
            # Whose it was has just given it up.
            continue
        if there.pk == row.pk:
            return row
        if there.owner_id == row.owner_id:
            return _taken_up(there, claim=row.claim, now=now)
        if not _released_stale(nango, there, now=now):
            break
    raise ConnectionIdTaken


def _taken_up(row: Connection, *, claim: uuid.UUID | None, now: datetime) -> Connection:
    """The caller's own row: one that an earlier attempt left is this attempt's from now on."""
    if row.state == State.DELETING:
        raise BeingDeleted
    if row.state == State.CLAIMING:
        Connection.objects.filter(pk=row.pk, state=State.CLAIMING).update(claim=claim, claimed_at=now)
    return row


def _released_stale(nango: Nango, row: Connection, *, now: datetime) -> bool:
    """Whether somebody else's claim was given up: it is old, and Nango has nothing of theirs."""
    if not row.is_stale_claim(before=now - CLAIM_LASTS):
        return False
    listed = _listed(nango, row.integration_id, row.connection_id)
    if listed and listed.owner == str(row.owner_id):
        return False
    deleted, _ = Connection.objects.filter(pk=row.pk, state=State.CLAIMING, claim=row.claim).delete()
    return deleted == 1


def _listed(nango: Nango, integration_id: str, connection_id: str) -> Listed | None:
    """What Nango has at this address, whosever it is; never its credentials."""
    for item in nango.list_connections(integration_id=integration_id, connection_id=connection_id):
        if (item.integration_id, item.connection_id) == (integration_id, connection_id):
            return item
    return None


def _may_have_been_made(error: ApplicationError) -> bool:
    if isinstance(error, ServiceFailed):
        return error.sent
    return isinstance(error, ServiceTimeout | NangoFailed)


def _release(row: Connection, claim: uuid.UUID) -> None:
    Connection.objects.filter(pk=row.pk, state=State.CLAIMING, claim=claim).delete()


@transaction.atomic
def _finish(caller: Caller, row: Connection, *, replaced: bool, now: datetime) -> None:
    """Record the outcome. A row that went away meanwhile is made again: Nango has the connection."""
    done: dict[str, Any] = {
        "state": State.ACTIVE,
        "claim": None,
        "confirmed_at": now,
        "missing_since": None,
        "needs_reconnect": False,
    }
    own = Connection.objects.of(caller).filter(pk=row.pk).exclude(state=State.DELETING)
    if not own.update(**done):
        for name, value in done.items():
            setattr(row, name, value)
        Connection.objects.bulk_create([row], ignore_conflicts=True)
    record(
        "connection.replaced" if replaced else "connection.created",
        actor=caller,
        target=row,
        organization_id=caller.organization_id,
        details={"integration_id": row.integration_id, "connection_id": row.connection_id},
    )
