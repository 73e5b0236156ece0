"""What the policies say of a connection: asked of each one, once its row says to which organization it belongs."""

import uuid

from accounts.policies import Resource, decide, require
from accounts.principals import Principal
from integrations.models import Connection, ConnectionStatus


def may(caller: Principal, action: str, row: Connection) -> bool:
    """Whether the caller may do this to a recorded connection, whosever it is.

    The row comes with its organization, so that a suspended one is known without another query.
    """
    resource = connection(
        row.pk,
        organization_id=row.organization_id,
        owner_id=row.owner_id,
        is_suspended=row.organization.suspended_at is not None,
    )
    return decide(caller, action, resource).allowed


def may_own(caller: Principal, action: str, own: ConnectionStatus) -> bool:
    """Whether the caller may do this to a connection that is recorded as theirs."""
    resource = connection(
        own.id, organization_id=own.organization_id, owner_id=caller.id, is_suspended=own.is_suspended
    )
    return decide(caller, action, resource).allowed


def may_use_kept(caller: Principal, connection_pk: uuid.UUID) -> bool:
    """Whether the caller may still use their connection, whose credentials are kept for them and their organization.

    Whoever asks with a credential for a suspended organization was refused before.
    """
    resource = connection(connection_pk, organization_id=caller.organization_id, owner_id=caller.id)
    return decide(caller, "connections.use", resource).allowed


def require_creation(caller: Principal) -> None:
    """Raise Denied unless the caller may connect accounts in the organization that they were let in for."""
    require(caller, "connections.create", Resource(type="Org", id=caller.organization_id, role=caller.role))


def connection(
    pk: uuid.UUID, *, organization_id: uuid.UUID, owner_id: uuid.UUID, is_suspended: bool = False
) -> Resource:
    """A connection as policies know it. None is shared: each is its maker's own."""
    return Resource(
        type="Connection",
        id=pk,
        organization_id=organization_id,
        maker_id=owner_id,
        is_suspended=is_suspended,
    )
