"""Comparing what the data database has with what we know, and dropping what is ours and nobody's any more.

A worker that was frozen may come back after others have removed its machine, and make a role once more before it
finds out. Such a role has nobody who would ever drop it.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from accounts.audit import record
from clouddev.clients.data_database import DataDatabase
from clouddev.models import Machine
from clouddev.names import fly_name_of
from core.errors import ApplicationError
from fly.models import Discrepancy, FlyApp

logger = logging.getLogger(__name__)

# Longer than any attempt at a machine takes.
SETTLES_AFTER = timedelta(minutes=30)
_KIND = Discrepancy.Kind.DATABASE
_AT_ONCE = 50
_OURS = "This server made this role and its schemas, and no workspace uses them any more."
_STRANGER = "It is named as workspaces' databases are, but there is no record of it here: is it another server's?"
_UNDECIDED = "No workspace uses this role and its schemas, but their app at Fly is not gone."


@dataclass
class Counts:
    """What a comparison did and found. `unfinished` is tried again by the next one."""

    seen: int = 0
    orphaned: int = 0
    dropped: int = 0
    unfinished: int = 0


def reconcile(*, now: datetime) -> Counts:
    """Record the names that no machine uses; drop those of them that were ours and were found before.

    Does nothing without a data database. Raises the data database's errors; what was done until then stays.
    """
    counts = Counts()
    if not settings.DATABASE_DATA_URL:
        return counts
    database = DataDatabase.from_settings()
    names = database.list_names()
    # Read after the database was asked: a row is there before its role is.
    orphans = set(names) - _used(names)
    if orphans:
        # What was removed meanwhile, and its row with it, is none.
        orphans &= set(database.list_names())
    Discrepancy.objects.replace(kinds=[_KIND], findings=_findings(orphans), now=now)
    counts.seen, counts.orphaned = len(names), len(orphans)
    for name in _to_drop(now=now):
        _drop(database, name, counts)
    return counts


def _used(names: list[str]) -> set[str]:
    """Give the names that a machine has or is going to have; a failed one has none."""
    rows = Machine.objects.filter(database_schema__in=names).exclude(state=Machine.State.FAILED)
    return set(rows.values_list("database_schema", flat=True))


def _findings(orphans: set[str]) -> dict[tuple[str, str], str]:
    """What is to be said of each."""
    apps = FlyApp.objects.filter(pk__in=[fly_name_of(name) for name in orphans])
    states = dict(apps.values_list("pk", "state"))
    return {(_KIND, name): _sentence(states.get(fly_name_of(name))) for name in orphans}


def _sentence(state: str | None) -> str:
    if state is None:
        return _STRANGER
    return _OURS if state == FlyApp.State.GONE else _UNDECIDED


def _to_drop(*, now: datetime) -> list[str]:
    """Give the names that a row proves to be ours, gone for so long that no worker can still be using them.

    A name is given once: there never is another machine with it.
    """
    found = Discrepancy.objects.filter(kind=_KIND, last_seen_at=now, first_seen_at__lte=now - SETTLES_AFTER)
    names = {fly_name_of(name): name for name in found.values_list("fly_name", flat=True)}
    gone = FlyApp.objects.filter(pk__in=names, state=FlyApp.State.GONE, gone_at__lte=now - SETTLES_AFTER)
    return [names[pk] for pk in gone.values_list("pk", flat=True)[:_AT_ONCE]]


def _drop(database: DataDatabase, name: str, counts: Counts) -> None:
    """Drop one; a failure keeps nothing else from being dropped."""
    try:
        dropped = database.drop(name)
    except ApplicationError as error:
        logger.warning("the database %s is not dropped yet: %s", name, type(error).__name__)
        counts.unfinished += 1
        return
    if not dropped:
        # Something of the role's lies in a database that isn't ours to change; operators go on seeing it.
        counts.unfinished += 1
        return
    with transaction.atomic():
        record("database.dropped", actor=None, target_type="Database", target_id=name, details={"reason": "abandoned"})
        Discrepancy.objects.filter(kind=_KIND, fly_name=name).delete()
    counts.dropped += 1
