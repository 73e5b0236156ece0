"""Apps of people who no longer fit the sign-up policy: they go on at Fly, since others may live by them."""

import uuid
from collections.abc import Mapping

from accounts.services.departures import left_behind
from deployments.models import Deployment


@left_behind
def _go_on(user_ids: set[uuid.UUID]) -> Mapping[uuid.UUID, list[str]]:
    """Which of them run, for operators to remove or to have deployed anew by somebody else."""
    told: dict[uuid.UUID, list[str]] = {}
    released = Deployment.objects.filter(owner__in=user_ids, state=Deployment.State.READY)
    for owner_id, name in released.order_by("app_name", "pk").values_list("owner_id", "app_name"):
        told.setdefault(owner_id, []).append(f"the app {name} goes on at Fly")
    return told
