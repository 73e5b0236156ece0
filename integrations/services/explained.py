"""How connections are found for whoever asks who may do what (`accounts.services.explain`)."""

from accounts.models import User
from accounts.policies import Resource
from accounts.services.explain import finder
from integrations.models import Connection
from integrations.services.decisions import connection


@finder("connection")
def _connection(name: str, _asker: User) -> Resource | None:
    """As "integration/connection"."""
    integration_id, _, connection_id = name.partition("/")
    found = (
        Connection.objects.at(integration_id=integration_id, connection_id=connection_id)
        .select_related("organization")
        .first()
    )
    if found is None:
        return None
    return connection(
        found.pk,
        organization_id=found.organization_id,
        owner_id=found.owner_id,
        is_suspended=found.organization.suspended_at is not None,
    )


@finder("integration")
def _integration(name: str, _asker: User) -> Resource | None:
    """By its id; all are alike."""
    return Resource(type="Integration", id=name) if name else None
