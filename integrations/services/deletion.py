"""Deleting a person's connection, here and at Nango."""

import logging
import uuid
from datetime import datetime

from django.db import transaction
from django.db.models.functions import Coalesce

from accounts.audit import Actor, record
from accounts.principals import Principal
from core.errors import ApplicationError
from core.http_client import may_still_arrive
from integrations.models import Connection
from integrations.services import credential_cache, tombstones
from integrations.services.access import require_own
from integrations.services.decisions import may
from integrations.sources.nango import Nango, UnknownConnection

logger = logging.getLogger(__name__)


def delete_connection(*, caller: Principal, integration_id: str, connection_id: str, now: datetime) -> None:
    """Delete the caller's connection; calling again after a failure finishes it.

    Raises UnknownConnection for what is not the caller's, or not theirs to delete with what they ask with, and the
    client's errors: the connection is then marked as being deleted, no longer given out, and a worker finishes it.
    """
    nango = Nango.from_settings()
    own = Connection.objects.of(caller).at(integration_id=integration_id, connection_id=connection_id)
    own = own.filter(deleted_at=None)
    there = own.select_related("organization").first()
    if there is None:
        require_own(
            caller=caller,
            integration_id=integration_id,
            connection_id=connection_id,
            action="connections.delete",
            now=now,
        )
    elif not may(caller, "connections.delete", there):
        raise UnknownConnection
    claim = uuid.uuid4()
    mark = {
        "state": Connection.State.DELETING,
        "deleting_since": Coalesce("deleting_since", now),
        "claim": claim,
        "claimed_at": now,
        "failures": 0,
        "try_again_at": None,
    }
    with transaction.atomic():
        alone = own.free(now=now).update(**mark) == 1
        if not alone and not own.update(**mark):
            raise UnknownConnection
        # With the mark: a fetch that begins now finds it, what one that began before keeps is not used.
        credential_cache.drop(integration_id=integration_id, connection_id=connection_id)
    row = own.filter(claim=claim).first()
    if row is not None and not _finish(nango, row, actor=caller, alone=alone, now=now):
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
    return _finish(nango, row, actor=None, alone=True, now=now)


def write_down(action: str, row: Connection, *, actor: Actor | None) -> None:
    """Tell the audit trail what became of a row that is gone, or about to be."""
    record(
        action,
        actor=actor,
        target_type="Connection",
        target_id=str(row.pk),
        organization_id=row.organization_id,
        details={"integration_id": row.integration_id, "connection_id": row.connection_id},
    )


def _finish(nango: Nango, row: Connection, *, actor: Actor | None, alone: bool, now: datetime) -> bool:
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
    action = "connection.deleted" if theirs else "connection.forgotten"
    _forget(row, actor=actor, action=action, alone=alone, now=now)
    return theirs


def _delete_at_nango(nango: Nango, row: Connection) -> bool:
    there = nango.find_connection(integration_id=row.integration_id, connection_id=row.connection_id)
    if there is None:
        return True
    if there.owner != str(row.owner_id):
        logger.error("connection %s was to be deleted, but its tags are not its owner's", row.pk)
        return False
    try:
        nango.delete_connection(integration_id=row.integration_id, connection_id=row.connection_id)
    except UnknownConnection:
        logger.info("connection %s was deleted at Nango already", row.pk)
    return True


@transaction.atomic
def _forget(row: Connection, *, actor: Actor | None, action: str, alone: bool, now: datetime) -> None:
    """Write the deletion down, which the first of several attempts does, and drop the row where nobody needs it."""
    marked = Connection.objects.filter(pk=row.pk, state=Connection.State.DELETING)
    if marked.filter(deleted_at=None).update(deleted_at=now, failures=0, try_again_at=None):
        write_down(action, row, actor=actor)
    tombstones.put(row)
    if alone:
        # Unless a later attempt of the owner took over: what that sent may still arrive.
        marked.filter(claim=row.claim).delete()
