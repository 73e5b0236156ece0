"""Deleting a person's connection, here and at Nango."""

import logging
from datetime import datetime

from django.db import transaction

from accounts.audit import Actor, record
from accounts.callers import Caller
from integrations.clients.nango import Nango, UnknownConnection
from integrations.models import Connection
from integrations.services import credential_cache
from integrations.services.ownership import require_own

logger = logging.getLogger(__name__)


def delete_connection(*, caller: Caller, integration_id: str, connection_id: str, now: datetime) -> None:
    """Delete the caller's connection; calling again after a failure finishes it.

    Raises UnknownConnection for what is not the caller's, and the client's errors: the connection is
    then marked as being deleted, and no longer listed or given out.
    """
    nango = Nango.from_settings()
    own = Connection.objects.of(caller).at(integration_id=integration_id, connection_id=connection_id)
    if not own.exists():
        require_own(caller=caller, integration_id=integration_id, connection_id=connection_id, now=now)
    if not own.update(state=Connection.State.DELETING, claim=None):
        raise UnknownConnection
    # After the mark: a fetch that begins now finds it, one that began before can't fill the cache.
    credential_cache.drop(integration_id=integration_id, connection_id=connection_id)
    row = own.first()
    if row is None:
        return
    if not finish_deletion(nango, row, actor=caller):
        raise UnknownConnection


def finish_deletion(nango: Nango, row: Connection, *, actor: Actor | None) -> bool:
    """Delete at Nango what is marked here, then the row; False when what is there is not the owner's.

    May be repeated. Raises the client's errors.
    """
    listed = [
        item
        for item in nango.list_connections(integration_id=row.integration_id, connection_id=row.connection_id)
        if (item.integration_id, item.connection_id) == (row.integration_id, row.connection_id)
    ]
    theirs = all(item.owner == str(row.owner_id) for item in listed)
    if not theirs:
        logger.error("connection %s was to be deleted, but its tags are not its owner's", row.pk)
    elif listed:
        try:
            nango.delete_connection(integration_id=row.integration_id, connection_id=row.connection_id)
        except UnknownConnection:
            logger.info("connection %s was deleted at Nango already", row.pk)
    _forget(row, actor=actor, action="connection.deleted" if theirs else "connection.forgotten")
    return theirs


@transaction.atomic
def _forget(row: Connection, *, actor: Actor | None, action: str) -> None:
    deleted, _ = Connection.objects.filter(pk=row.pk, state=Connection.State.DELETING).delete()
    if deleted:
        record(
            action,
            actor=actor,
            target_type="Connection",
            target_id=str(row.pk),
            organization_id=row.organization_id,
            details={"integration_id": row.integration_id, "connection_id": row.connection_id},
        )
