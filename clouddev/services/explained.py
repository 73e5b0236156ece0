"""How workspaces are found for whoever asks who may do what (`accounts.services.explain`)."""

from accounts.models import User
from accounts.policies import Resource
from accounts.services.explain import finder, pk_or_name
from clouddev.models import Machine, Member
from clouddev.services.access import workspace


@finder("workspace")
def _workspace(name: str, asker: User) -> Resource | None:
    """By its id, or as "alice/studio"."""
    machines = Machine.objects.select_related("organization")
    machine = machines.filter(pk_or_name(name, column="app_name", owner="owner")).first()
    if machine is None:
        return None
    role = Member.objects.filter(machine=machine, user=asker).values_list("role", flat=True).first()
    return workspace(machine, role=role or "", is_suspended=machine.organization.suspended_at is not None)
