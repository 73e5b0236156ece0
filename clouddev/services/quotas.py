"""How many machines a person and an organization may have."""

import uuid

from django.conf import settings

from clouddev.models import Machine
from clouddev.models.machines import MachineQuerySet
from core.errors import Conflict


class QuotaReached(Conflict):
    """409: the person or the organization has as many machines as they may."""


def require_own_room(*, user_id: uuid.UUID) -> None:
    """Raise QuotaReached when whoever asks has as many machines as they may."""
    own = _kept().filter(owner_id=user_id)
    if own.count() >= settings.MACHINES_PER_PERSON:
        oldest = own.order_by("last_active_at", "created_at", "pk").first()
        name = oldest.app_name if oldest else ""
        raise QuotaReached(
            f"You have {_number(settings.MACHINES_PER_PERSON)}, which is the most you may have. Destroy one that you "
            f"no longer need and try again; “{name}” has been idle the longest."
        )


def require_room_of(*, user_id: uuid.UUID, login: str) -> None:
    """Raise QuotaReached when another person, called `login`, owns as many machines as they may."""
    if _kept().filter(owner_id=user_id).count() >= settings.MACHINES_PER_PERSON:
        raise QuotaReached(
            f"{login} has {_number(settings.MACHINES_PER_PERSON)}, which is the most they may have. "
            "Ask them to destroy one that they no longer need and try again."
        )


def require_room_in_organization(*, organization_id: uuid.UUID, whose: str = "Your") -> None:
    """Raise QuotaReached when the organization has as many machines as it may; `whose` begins the sentence."""
    if _kept().filter(organization_id=organization_id).count() >= settings.MACHINES_PER_ORGANIZATION:
        raise QuotaReached(
            f"{whose} organization has {_number(settings.MACHINES_PER_ORGANIZATION)}, which is the most it may have. "
            "Destroy one that nobody needs and try again."
        )


def _kept() -> MachineQuerySet:
    """A failed machine has nothing outside, and counts for nothing."""
    return Machine.objects.exclude(state=Machine.State.FAILED)


def _number(count: int) -> str:
    return "1 workspace" if count == 1 else f"{count} workspaces"
