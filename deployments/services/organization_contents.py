"""The deployed apps that keep an organization from being deleted."""

from accounts.models import Organization
from accounts.services.organization_contents import contents
from deployments.models import Deployment


@contents("app", "apps")
def _count(organization: Organization) -> int:
    return Deployment.objects.filter(organization=organization).count()
