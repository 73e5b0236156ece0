"""Whose build is next: organizations take turns, and none of them has all slots.

A worker's job says that some build waits. Which one it then takes is decided here, so that an organization that pushed
forty builds before others pushed one doesn't have its forty done first.
"""

import uuid

from django.conf import settings
from django.db.models import Count, Max

from config.core.jobs import worker_processes
from deployments.models import Build


def most_of_organization() -> int:
    """How many builds of one organization run at once: BUILDS_PER_ORGANIZATION, and a slot less than there are.

    Where there is one slot, that one; then the turns alone keep it from an organization that wants it all the time.
    """
    slots = settings.WORKER_CONCURRENCY * worker_processes()
    return max(1, min(settings.BUILDS_PER_ORGANIZATION, slots - 1))


def builds_in_turn() -> list[uuid.UUID]:
    """The oldest waiting build of each organization that may have one more running, in the order of their turns.

    First who has fewest running, then whose last build began longest ago.
    """
    busy = Build.objects.running().values("deployment")
    waiting = Build.objects.waiting().filter(finished_at=None).exclude(deployment__in=busy)
    oldest = dict(
        waiting.order_by("organization", "accepted_at", "created_at")
        .distinct("organization")
        .values_list("organization", "pk")
    )
    counted = Build.objects.running().filter(organization__in=oldest).values("organization")
    running = dict(counted.annotate(number=Count("pk")).values_list("organization", "number"))
    begun = Build.objects.filter(organization__in=oldest).exclude(started_at=None).values("organization")
    last = dict(begun.annotate(at=Max("started_at")).values_list("organization", "at"))
    accepted = dict(Build.objects.filter(pk__in=oldest.values()).values_list("organization", "accepted_at"))
    most = most_of_organization()
    free = [organization for organization in oldest if running.get(organization, 0) < most]
    free.sort(key=lambda one: (running.get(one, 0), one in last, last.get(one) or accepted[one]))
    return [oldest[organization] for organization in free]
