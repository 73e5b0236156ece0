"""The workspaces that keep an organization from being deleted."""

from accounts.models import Organization
from accounts.services.organization_contents import contents
from clouddev.models import Machine


@contents("workspace", "workspaces")
def _count(organization: Organization) -> int:
    return Machine.objects.filter(organization=organization).count()
