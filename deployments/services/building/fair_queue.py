"""Whose build is next: organizations take turns, and so do people; none of them has all slots.

A worker's job says that some build waits. Which one it then takes is decided here, so that an organization that pushed
forty builds before others pushed one doesn't have its forty done first. Nor has a person who is in many organizations.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Count, OuterRef, QuerySet, Subquery

from accounts.models import Organization
from core.queues import worker_processes
from deployments.models import Build


@dataclass(frozen=True, slots=True)
class _Waiting:
    """The build that a person's apps in one organization have waited for longest."""

    pk: uuid.UUID
    organization: uuid.UUID
    person: uuid.UUID
    accepted_at: datetime


def most_of_organization() -> int:
    """How many builds of one organization, or person, run at once: BUILDS_PER_ORGANIZATION, and a slot less than all.

    Where there is one slot, that one; then the turns alone keep it from an organization that wants it all the time.
    """
    slots = settings.WORKER_CONCURRENCY * worker_processes()
    return max(1, min(settings.BUILDS_PER_ORGANIZATION, slots - 1))


def builds_in_turn() -> list[uuid.UUID]:
    """The builds that may be taken next, in the order of their turns: the oldest of each person and organization.

    First whose person or organization has fewest running, then whose organization's last build began longest ago.
    """
    busy = Build.objects.running().values("deployment")
    waiting = Build.objects.waiting().exclude(deployment__in=busy)
    oldest = [
        _Waiting(pk, organization, person, accepted_at)
        for pk, organization, person, accepted_at in waiting.order_by(
            "organization", "deployment__owner", "accepted_at", "created_at", "pk"
        )
        .distinct("organization", "deployment__owner")
        .values_list("pk", "organization", "deployment__owner", "accepted_at")
        if accepted_at is not None
    ]
    by_organization, by_person = _running("organization"), _running("deployment__owner")
    last = _last_begun({one.organization for one in oldest})

    def running(one: _Waiting) -> int:
        return max(by_organization.get(one.organization, 0), by_person.get(one.person, 0))

    def turn(one: _Waiting) -> tuple[int, int, bool, datetime, datetime]:
        begun = last.get(one.organization)
        return (
            running(one), by_person.get(one.person, 0), begun is not None, begun or one.accepted_at, one.accepted_at
        )  # fmt: skip

    most = most_of_organization()
    return [one.pk for one in sorted(oldest, key=turn) if running(one) < most]


def has_room(build: Build) -> bool:
    """Whether the build's organization and person may have one more running, of which both are told from their rows."""
    others = Build.objects.running().exclude(pk=build.pk)
    most = most_of_organization()
    return (
        others.filter(organization=build.organization_id).count() < most
        and others.filter(deployment__owner=build.deployment.owner_id).count() < most
    )


def _running(whose: str) -> dict[uuid.UUID, int]:
    counted: QuerySet[Build, tuple[uuid.UUID, int]] = (
        Build.objects.running().values(whose).annotate(number=Count("pk")).values_list(whose, "number")
    )
    return dict(counted)


def _last_begun(organizations: set[uuid.UUID]) -> dict[uuid.UUID, datetime]:
    """When each of the organizations had a build begun last. An index has it: all builds there ever were are many."""
    begun = Build.objects.filter(organization=OuterRef("pk")).exclude(started_at=None).order_by("-started_at", "-pk")
    each = Organization.objects.filter(pk__in=organizations).annotate(begun=Subquery(begun.values("started_at")[:1]))
    return dict(each.exclude(begun=None).values_list("pk", "begun"))
