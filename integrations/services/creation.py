"""Making a connection from credentials that the caller hands in.

The row comes first: its unique address decides between callers who want the same one at once. Then
Nango is asked whether it has such a connection, and only then to make it. While an attempt may still
be under way its claim keeps the address from everybody else; the owner may try again at once. What
was left behind is released for others once it is old and Nango has nothing of it.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from accounts.audit import record
from accounts.principals import Principal
from core.errors import ApplicationError, Conflict
from core.http_client import ServiceFailed, ServiceTimeout
from core.rate_limits import RateLimit
from integrations.models import Connection
from integrations.services import credential_cache, tombstones
from integrations.services.access import found_for, tags_of
from integrations.services.decisions import may, require_creation
from integrations.services.deletion import write_down
from integrations.sources import Credentials
from integrations.sources.nango import Connection as Listed
from integrations.sources.nango import Nango, NangoFailed

State = Connection.State
CREATIONS = RateLimit("connection-creations", "30/minute")


class ConnectionIdTaken(Conflict):
    """409: there is a connection of this id, and it is not the caller's."""

    default = "This connection id is already in use. Choose another one."


class BeingDeleted(Conflict):
    """409: the caller's own connection of this id is half deleted."""

    default = "This connection is being deleted. Please try again in a minute."


def create_connection(  # noqa: PLR0913 - a connection has this many parts
    *,
    caller: Principal,
    integration_id: str,
    connection_id: str,
    credentials: Credentials,
    connection_config: Mapping[str, object] | None,
    now: datetime,
) -> None:
    """Make the connection, or replace the credentials of the caller's own one.

    Raises Denied, ConnectionIdTaken, BeingDeleted, the client's refusals of an import, and its other errors;
    after those that leave it open whether it was made, calling again settles it. What the caller has in another
    organization is taken, as others' are.
    """
    nango = Nango.from_settings()
    require_creation(caller)
    CREATIONS.spend(str(caller.id))
    row = Connection(
        integration_id=integration_id,
        connection_id=connection_id,
        owner_id=caller.id,
        organization_id=caller.organization_id,
        state=State.CLAIMING,
        claim=uuid.uuid4(),
        claimed_at=now,
        created_at=now,
    )
    attempt = _claimed(nango, row, caller, now=now)
    try:
        listed = nango.find_connection(integration_id=integration_id, connection_id=connection_id)
        if listed and not _is_callers(listed, caller, attempt):
            raise ConnectionIdTaken
    except ApplicationError:
        _release(attempt)
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
            _release(attempt)
        raise
    _finish(caller, attempt, replaced=listed is not None, now=now)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """This attempt's hold on a row; `alone` when no other attempt of the owner may be under way."""

    row: Connection
    claim: uuid.UUID | None
    alone: bool

    @property
    def held(self) -> QuerySet[Connection]:
        """The row, as long as no later attempt took it over."""
        return Connection.objects.filter(pk=self.row.pk, claim=self.claim)


def _is_callers(listed: Listed, caller: Principal, attempt: _Attempt) -> bool:
    """Whether what Nango has is the caller's: by our row, or where that is this attempt's own by its tags."""
    if listed.owner != str(caller.id):
        return False
    is_recorded = attempt.row.claim != attempt.claim
    return is_recorded or found_for(caller, [listed])[0].claimant.organization_id == caller.organization_id


def _claimed(nango: Nango, row: Connection, caller: Principal, *, now: datetime) -> _Attempt:
    """The row of this address, claimed by this attempt: a new one, or the caller's own that they may change."""
    rows = Connection.objects.at(integration_id=row.integration_id, connection_id=row.connection_id)
    for _ in range(3):
        Connection.objects.bulk_create([row], ignore_conflicts=True)
        there = rows.select_related("organization").first()
        if there is None:
            # Whose it was has just given it up.
            continue
        if there.pk == row.pk:
            return _Attempt(row, row.claim, alone=True)
        is_own = there.owner_id == row.owner_id and may(caller, "connections.update", there)
        if is_own and there.state != State.DELETING:
            return _taken_over(there, claim=row.claim, now=now)
        if not _released(nango, there, now=now):
            raise BeingDeleted if is_own else ConnectionIdTaken
    raise ConnectionIdTaken


@transaction.atomic
def _taken_over(row: Connection, *, claim: uuid.UUID | None, now: datetime) -> _Attempt:
    """The caller's own row, for this attempt from now on; while it has a claim its credentials are not kept."""
    own = Connection.objects.filter(pk=row.pk).exclude(state=State.DELETING)
    alone = own.free(now=now).update(claim=claim, claimed_at=now) == 1
    if not alone and not own.update(claim=claim, claimed_at=now):
        raise BeingDeleted
    credential_cache.drop(integration_id=row.integration_id, connection_id=row.connection_id)
    return _Attempt(row, claim, alone)


def _released(nango: Nango, row: Connection, *, now: datetime) -> bool:
    """Whether a row that was left behind was given up: it is old, and Nango has nothing of its owner's."""
    if not row.is_left_behind(now=now):
        return False
    listed = nango.find_connection(integration_id=row.integration_id, connection_id=row.connection_id)
    if listed and listed.owner == str(row.owner_id):
        return False
    same = {"state": row.state, "claim": row.claim, "deleted_at": row.deleted_at}
    with transaction.atomic():
        if not Connection.objects.filter(pk=row.pk, **same).delete()[0]:
            return False
        if row.state == State.DELETING:
            tombstones.put(row)
        if row.state == State.DELETING and row.deleted_at is None:
            write_down("connection.deleted", row, actor=None)
    return True


def _may_have_been_made(error: ApplicationError) -> bool:
    if isinstance(error, ServiceFailed):
        return error.sent
    return isinstance(error, ServiceTimeout | NangoFailed)


def _release(attempt: _Attempt) -> None:
    """End the claim of an attempt that changed nothing, unless another one may still be under way."""
    if attempt.alone and not attempt.held.filter(state=State.CLAIMING).delete()[0]:
        attempt.held.update(claim=None)


@transaction.atomic
def _finish(caller: Principal, attempt: _Attempt, *, replaced: bool, now: datetime) -> None:
    """Record the outcome. Raises BeingDeleted when the caller deleted the connection meanwhile."""
    row = attempt.row
    own = Connection.objects.of(caller).filter(pk=row.pk).exclude(state=State.DELETING)
    if not own.update(state=State.ACTIVE, confirmed_at=now, missing_since=None, needs_reconnect=False):
        raise BeingDeleted
    if attempt.alone:
        attempt.held.update(claim=None)
    record(
        "connection.replaced" if replaced else "connection.created",
        actor=caller,
        target=row,
        details={"integration_id": row.integration_id, "connection_id": row.connection_id},
    )
