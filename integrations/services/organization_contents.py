"""The connected accounts that keep an organization from being deleted."""

from accounts.models import Organization
from accounts.services.organization_contents import contents
from integrations.models import Connection


@contents("connected account", "connected accounts")
def _count(organization: Organization) -> int:
    return Connection.objects.filter(organization=organization).count()
