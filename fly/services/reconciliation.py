"""Comparing what Fly has with what we know, and finishing what was left half done.

One question lists all apps of the organization, another one its machines. Fly's answers may be minutes old, so
only what was found before is acted on; deleted is only what has a row of ours and is used by nothing. All else is
shown to operators.

Apps above this one have rows that use an app at Fly. They register what they finish and compare of their own.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Protocol

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from accounts.audit import record
from core.errors import ApplicationError
from fly.clients.machines_api import App, Fly, UnknownApp
from fly.models import Discrepancy, FlyApp, FlyAppQuerySet
from fly.names import looks_like_ours
from fly.services import fly_apps
from fly.services.fly_apps import SETTLES_AFTER

logger = logging.getLogger(__name__)

Kind = Discrepancy.Kind
State = FlyApp.State
# What this comparison finds; of others' findings it knows nothing.
_KINDS = (Kind.STRANGER, Kind.MISSING, Kind.ABANDONED)
Findings = dict[tuple[str, str], str]
# What is left over for the next run: one that takes for ever helps nobody.
_AT_ONCE = 50
# Fly makes these itself, to build images on.
_BUILDER_PREFIX = "fly-builder-"


@dataclass
class Counts:
    """What a reconciliation did and found. `unfinished` is tried again by the next one."""

    seen: int = 0
    prepared: int = 0
    destroyed: int = 0
    removed: int = 0
    unfinished: int = 0
    strangers: int = 0
    missing: int = 0
    abandoned: int = 0
    surplus: int = 0
    unknown: int = 0
    empty: int = 0
    other: int = 0


class Finish(Protocol):
    """Goes on with what was left half done at Fly, and counts it."""

    def __call__(self, counts: Counts, *, now: datetime) -> None:
        """Finish what no call is at."""


class Compare(Protocol):
    """Compares something more with the apps that Fly has listed, and records what differs."""

    def __call__(self, fly: Fly, listed: Mapping[str, App], counts: Counts, *, now: datetime) -> None:
        """Raises the Fly client's errors."""


_finishers: list[Finish] = []
_comparisons: list[Compare] = []


def register(*, finish: Finish, compare: Compare) -> None:
    """Register a part that every reconciliation finishes and compares."""
    _finishers.append(finish)
    _comparisons.append(compare)


def reconcile(*, now: datetime) -> Counts:
    """Finish what is half made or half deleted, compare, record what differs, delete what is abandoned.

    Does nothing without a token for Fly. Raises the Fly client's errors; what was done until then stays.
    """
    counts = Counts()
    if not settings.FLY_API_TOKEN:
        return counts
    fly = Fly.from_settings()
    _finish(counts, now=now)
    listed = {app.name: app for app in fly.list_apps()}
    # Read after Fly was asked: a row is there before its app is.
    findings = _findings(fly, listed, now=now)
    Discrepancy.objects.replace(kinds=_KINDS, findings=findings, now=now)
    counts.seen = len(listed)
    kinds = [kind for kind, _ in findings]
    counts.strangers, counts.missing, counts.abandoned = map(kinds.count, (Kind.STRANGER, Kind.MISSING, Kind.ABANDONED))
    _remove_abandoned(fly, counts, now=now)
    try:
        # Last, so that machines which can't be asked about keep nothing else from being done.
        for compare in _comparisons:
            compare(fly, listed, counts, now=now)
    finally:
        _log(counts)
    return counts


def _log(counts: Counts) -> None:
    """Say what was done and found; a comparison in which all agrees says nothing."""
    told = {name: number for name, number in asdict(counts).items() if number and name != "seen"}
    if told:
        logger.info("compared with Fly: %s", ", ".join(f"{name} {number}" for name, number in told.items()))


def _finish(counts: Counts, *, now: datetime) -> None:
    """Go on with what no call is at."""
    free = FlyApp.objects.free(now=now)
    for finish in _finishers:
        finish(counts, now=now)
    for name in _removable(free.filter(state=State.DELETING)).values_list("pk", flat=True)[:_AT_ONCE]:
        counts.removed += tried(counts, lambda name=name: fly_apps.remove(fly_app_id=name, now=now))  # type: ignore[misc]


def tried(counts: Counts, call: Callable[[], object]) -> bool:
    """Whether it is done; a failure keeps nothing else from being done."""
    try:
        done = call() is not False
    except Exception as error:
        # Of whatever kind: an archive's storage raises what it likes.
        logger.warning("not finished yet: %s", type(error).__name__, exc_info=not isinstance(error, ApplicationError))
        done = False
    counts.unfinished += not done
    return done


def _findings(fly: Fly, listed: dict[str, App], *, now: datetime) -> Findings:
    rows = {row.pk: row for row in FlyApp.objects.filter(Q(pk__in=listed) | ~Q(state=State.GONE))}
    settled = now - SETTLES_AFTER
    found: Findings = {}
    for name, app in listed.items():
        row = rows.get(name)
        if row is None or (app.network and app.network != row.network):
            if not name.startswith(_BUILDER_PREFIX):
                found[Kind.STRANGER, name] = _about_stranger(name)
        elif row.state == State.GONE and row.gone_at and row.gone_at < settled:
            found[Kind.ABANDONED, name] = "Fly still has this app, which was deleted here."
    unused = _unused(FlyApp.objects.filter(state__in=[State.INTENDED, State.READY], created_at__lt=settled))
    for name in unused.values_list("pk", flat=True):
        found[Kind.ABANDONED, name] = "This server made the app, and nothing here uses it."
    ready = (row for row in rows.values() if row.state == State.READY and row.ready_at and row.ready_at < settled)
    missing = list(_missing(fly, (row.pk for row in ready if row.pk not in listed)))
    # Asked once more: what was deleted here while Fly was asked is not missing.
    for name in FlyApp.objects.filter(pk__in=missing, state=State.READY).values_list("pk", flat=True):
        found[Kind.MISSING, name] = "Fly no longer has this app, which was not deleted here."
    return found


def _about_stranger(name: str) -> str:
    if looks_like_ours(name):
        return "It is named as this server's apps are, but there is no record of it here: is it another server's?"
    return "It is in this server's organization at Fly, but there is no record of it here."


def _missing(fly: Fly, names: Iterable[str]) -> Iterable[str]:
    """Give the names that Fly doesn't have, confirmed by a question about each."""
    for count, name in enumerate(names):
        if count == _AT_ONCE:
            return
        try:
            fly.get_app(name)
        except UnknownApp:
            yield name


def _remove_abandoned(fly: Fly, counts: Counts, *, now: datetime) -> None:
    """Delete what was abandoned when it was first seen, minutes ago, and is so now."""
    old = Discrepancy.objects.filter(kind=Kind.ABANDONED, first_seen_at__lte=now - SETTLES_AFTER)
    for name in old.values_list("fly_name", flat=True)[:_AT_ONCE]:
        counts.removed += tried(counts, lambda name=name: _remove(fly, name, now=now))  # type: ignore[misc]


def _remove(fly: Fly, name: str, *, now: datetime) -> bool:
    """Delete an app that has our network, which nobody else knows, or that Fly doesn't have."""
    row = FlyApp.objects.get(pk=name)
    try:
        if fly.get_app(name).network != row.network:
            logger.error("the app %s at Fly has not the network that it was to have", name)
            return False
    except UnknownApp:
        pass
    if not _taken_for_removal(name):
        return False
    fly_apps.remove(fly_app_id=name, now=now)
    return True


@transaction.atomic
def _taken_for_removal(name: str) -> bool:
    """Mark an app as to be deleted, unless something uses it by now."""
    found = _removable(FlyApp.objects.filter(pk=name)).exclude(state=State.DELETING)
    if not found.update(state=State.DELETING):
        return False
    record(
        "fly_app.removed", actor=None, target_type="FlyApp", target_id=name,
        organization_id=fly_apps.organization_of(name), details={"reason": "abandoned"},
    )  # fmt: skip
    return True


def _removable(rows: FlyAppQuerySet) -> FlyAppQuerySet:
    """Give the apps that no row uses, and those that were gone before: a failed machine still points at its app."""
    return rows.filter(Q(gone_at__isnull=False) | Q(pk__in=_unused(rows).values("pk")))


def _unused(rows: FlyAppQuerySet) -> FlyAppQuerySet:
    """Give the apps that no row of any kind points at."""
    for relation in FlyApp._meta.related_objects:  # noqa: SLF001 - Django documents it
        rows = rows.filter(**{f"{relation.field.related_query_name()}__isnull": True})
    return rows
