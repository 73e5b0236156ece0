"""How asking providers of memberships went: kept in the database, so that it outlives whoever asked."""

import logging
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import F

from accounts.models import ProviderLook
from accounts.models.leavers import LONGEST_SENTENCE

logger = logging.getLogger(__name__)

GITHUB = "GitHub"
# What would throw out most people; nothing is asked for it, but it is counted and told in the same way.
SIGN_UP_POLICY = "Sign-up policy"
# After a failure a provider has so long to fail again: meanwhile nobody is out by one look alone.
_SHAKY_FOR = timedelta(hours=3)


def failed(name: str, sentence: str, *, now: datetime) -> None:
    """Count a failure. From the third in a row on leavers go unnoticed, which is said aloud."""
    ProviderLook.objects.bulk_create([ProviderLook(name=name)], ignore_conflicts=True)
    ProviderLook.objects.filter(name=name).update(
        failures=F("failures") + 1, failed_at=now, error=sentence[:LONGEST_SENTENCE]
    )
    row = ProviderLook.objects.get(name=name)
    level = logging.ERROR if row.is_blind else logging.WARNING
    logger.log(level, "leavers are not looked for (%s, time %s in a row): %s", name, row.failures, sentence)


def succeeded(name: str, *, missed: Iterable[uuid.UUID], now: datetime) -> set[uuid.UUID]:
    """Count a good look that missed these people; gives those whom it has missed often enough to believe it.

    That is at once, and where the provider has failed within the last hours, in the third look in a row.
    """
    ProviderLook.objects.bulk_create([ProviderLook(name=name)], ignore_conflicts=True)
    row = ProviderLook.objects.get(name=name)
    counts = {str(user_id): int(row.missed.get(str(user_id), 0)) + 1 for user_id in missed}
    is_shaky = row.failed_at is not None and now - row.failed_at < _SHAKY_FOR
    needed = ProviderLook.MANY if is_shaky else 1
    waiting = {user_id: count for user_id, count in counts.items() if count < needed}
    ProviderLook.objects.filter(pk=row.pk).update(succeeded_at=now, failures=0, error="", missed=waiting)
    return {uuid.UUID(user_id) for user_id in counts.keys() - waiting.keys()}


def cleared(name: str) -> None:
    """What was counted is over; the row stays as it is where there is nothing to clear."""
    ProviderLook.objects.filter(name=name, failures__gt=0).update(failures=0, error="")
