"""How apps are found for whoever asks who may do what (`accounts.services.explain`)."""

from accounts.models import User
from accounts.policies import Resource
from accounts.services.explain import finder, pk_or_name
from deployments.models import Deployment
from deployments.services.access import deployment


@finder("app")
def _app(name: str, _asker: User) -> Resource | None:
    """By its id, or as "alice/shop"."""
    apps = Deployment.objects.select_related("organization")
    found = apps.filter(pk_or_name(name, column="app_name", owner="owner")).first()
    if found is None:
        return None
    return deployment(found, is_suspended=found.organization.suspended_at is not None)
