"""Deleting a person's connection, here and at Nango."""

import logging
import uuid
from datetime import datetime

from django.db import transaction

from accounts.audit import Actor, record
from accounts.callers import Caller
from config.core.errors import ApplicationError
from config.core.outgoing import may_still_arrive
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
    claim = uuid.uuid4()
    mark = {"state": Connection.State.DELETING, "claim": claim, "claimed_at": now}
    with transaction.atomic():
        alone = own.free(now=now).update(**mark) == 1
        if not alone and not own.update(**mark):
            raise UnknownConnection
        # With the mark: a fetch that begins now finds it, what one that began before keeps is not used.
        credential_cache.drop(integration_id=integration_id, connection_id=connection_id)
    row = own.filter(claim=claim).first()
    if row is not None and not _finish(nango, row, actor=caller, alone=alone):
        raise UnknownConnection


def finish_deletion(nango: Nango, row: Connection, *, now: datetime) -> bool:
    """Finish what a deletion left behind; False while it may still be under way, or is not the owner's.

    May be repeated. Raises the client's errors.
    """
    claim = uuid.uuid4()
    left = Connection.objects.filter(pk=row.pk, state=Connection.State.DELETING).free(now=now)
    if not left.update(claim=claim, claimed_at=now):
        return False
    row.claim = claim
    return _finish(nango, row, actor=None, alone=True)


def _finish(nango: Nango, row: Connection, *, actor: Actor | None, alone: bool) -> bool:
    """Delete at Nango what is marked here, then the row; False when what is there is not the owner's.

    Unless this attempt is `alone`, what an earlier one sent may still arrive at Nango. The row then stays
    for a while as a mark that keeps the address from others, whom a late deletion would hit.
    """
    try:
        theirs = _delete_at_nango(nango, row)
    except ApplicationError as error:
        if alone and not may_still_arrive(error):
            Connection.objects.filter(pk=row.pk, claim=row.claim).update(claim=None)
        raise
    _forget(row, actor=actor, action="connection.deleted" if theirs else "connection.forgotten", alone=alone)
    return theirs


def _delete_at_nango(nango: Nango, row: Connection) -> bool:
    listed = [
        item
        for item in nango.list_connections(integration_id=row.integration_id, connection_id=row.connection_id)
        if (item.integration_id, item.connection_id) == (row.integration_id, row.connection_id)
    ]
    if any(item.owner != str(row.owner_id) for item in listed):
        logger.error("connection %s was to be deleted, but its tags are not its owner's", row.pk)
        return False
    if listed:
        try:
            nango.delete_connection(integration_id=row.integration_id, connection_id=row.connection_id)
        except UnknownConnection:
            logger.info("connection %s was deleted at Nango already", row.pk)
    return True


@transaction.atomic
def _forget(row: Connection, *, actor: Actor | None, action: str, alone: bool) -> None:
    held = Connection.objects.filter(pk=row.pk, state=Connection.State.DELETING, claim=row.claim)
    if alone and not held.delete()[0]:
        # A later attempt of the owner took over, and writes it down.
        return
    record(
        action,
        actor=actor,
        target_type="Connection",
        target_id=str(row.pk),
        organization_id=row.organization_id,
        details={"integration_id": row.integration_id, "connection_id": row.connection_id},
    )
