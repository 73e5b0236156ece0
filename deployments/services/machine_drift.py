"""Comparing what is in deployments' apps at Fly with what belongs there: the one machine that flyctl manages.

It runs the version that was released last, unless a canceled or failed build had changed it before it ended.

What differs is said and left alone: an operator may have made it, and somebody's data may be on it. An app that is
being built, or was a moment ago, is passed over, and nothing is said that a question about the app doesn't confirm.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef, Q, Subquery

from deployments.models import Build, Deployment
from deployments.models.builds import tag_of
from deployments.models.deployments import DeploymentQuerySet
from fly.clients.machines_api import App, Fly, UnknownApp
from fly.clients.machines_api.types import Machine, MachineOfOrganization
from fly.models import Discrepancy, FlyApp
from fly.services.fly_apps import SETTLES_AFTER

logger = logging.getLogger(__name__)

Kind = Discrepancy.Kind
KINDS = (Kind.SURPLUS, Kind.UNKNOWN, Kind.EMPTY, Kind.OTHER)
_RELEASED = (Build.State.RELEASED, Build.State.LIVE)
_GONE = frozenset({"destroying", "destroyed", "replaced", "migrated"})
# What is left over for the next run: one that takes for ever helps nobody.
_AT_ONCE = 50
_MOST_NAMED = 3
_LONGEST_TAG = 60


@dataclass(frozen=True, slots=True)
class _Expected:
    """What an app ought to run: `is_released` says whether anything, `image` which ("" where that isn't known)."""

    is_released: bool
    image: str


def findings(fly: Fly, listed: Mapping[str, App], *, now: datetime) -> dict[tuple[str, str], str] | None:
    """A sentence for each kind and app that differs; None when Fly can't tell of all regions.

    `listed` are the apps that Fly has. Without deployments nothing is asked. Raises the Fly client's errors.
    """
    if not _ready_apps().exists():
        return {}
    machines = _machines_by_app(fly)
    if machines is None:
        return None
    found: dict[tuple[str, str], str] = {}
    # Read after Fly was asked: whatever was built meanwhile is still being built now, or was a moment ago.
    settled = {name: expected for name, expected in _settled(now=now) if name in listed}
    suspects = [
        name for name, expected in settled.items() if listed[name].volumes or _differs(machines.get(name, ()), expected)
    ]
    for name in suspects[:_AT_ONCE]:
        for kind, sentence in _confirmed(fly, name, settled[name]):
            found[kind, name] = sentence
    return found


def _machines_by_app(fly: Fly) -> dict[str, list[MachineOfOrganization]] | None:
    found = defaultdict(list)
    for page in fly.pages_of_machines():
        if page.error_regions:
            logger.warning("Fly can't tell of the machines in %s", ", ".join(page.error_regions))
            return None
        for machine in page.machines:
            found[machine.app_name].append(machine)
    return found


def _ready_apps() -> DeploymentQuerySet:
    return Deployment.objects.filter(state=Deployment.State.READY, fly_app__state=FlyApp.State.READY)


def _settled(*, now: datetime) -> Iterable[tuple[str, _Expected]]:
    """The apps left alone for so long that Fly sees them as they are, each with what it ought to run."""
    builds = Build.objects.filter(deployment=OuterRef("pk"))
    under_way = builds.filter(Q(finished_at=None) | Q(finished_at__gt=now - SETTLES_AFTER))
    last = builds.exclude(released_at=None).order_by("-released_at", "-pk")
    rows = (
        _ready_apps()
        .filter(~Exists(under_way))
        .annotate(released=Exists(builds.filter(state__in=_RELEASED)), image=Subquery(last.values("image")[:1]))
    )
    for name, is_released, image in rows.order_by("fly_app_id").values_list("fly_app_id", "released", "image"):
        yield name, _Expected(is_released=is_released, image=image or "")


def _differs(machines: Iterable[MachineOfOrganization], expected: _Expected) -> bool:
    return bool(_about_machines(machines, expected) or _other_tags(machines, expected))


def _confirmed(fly: Fly, name: str, expected: _Expected) -> Iterable[tuple[Kind, str]]:
    """What the app itself says, by kind."""
    try:
        machines, volumes = fly.list_machines(name), fly.list_volumes(name)
    except UnknownApp:
        return {}.items()  # which the comparison of apps says
    said = _about_machines(machines, expected)
    if others := _other_tags(machines, expected):
        said[Kind.OTHER] = _about_version(name, min(others))
    left = [volume.id for volume in volumes if volume.is_there]
    if left:
        sentence = f"Deployments have no volumes, but this app has: {_named(left)}."
        said[Kind.UNKNOWN] = f"{said[Kind.UNKNOWN]} {sentence}" if Kind.UNKNOWN in said else sentence
    return said.items()


def _other_tags(machines: Iterable[Machine | MachineOfOrganization], expected: _Expected) -> set[str]:
    """The tags of what runs in the managed machines besides what was released last; those not known don't count."""
    wanted = tag_of(expected.image)
    if expected.image and not wanted:
        return set()
    managed = (machine for machine in machines if machine.state not in _GONE and machine.process_group)
    return {tag for machine in managed if (tag := tag_of(machine.image)) and tag != wanted}


def _about_version(fly_name: str, tag: str) -> str:
    """Which build it is of, and what became of that."""
    last = "Deploy again the version that shall run."
    build = Build.objects.of_tag(tag).filter(deployment__fly_app=fly_name).first()
    if build is None:
        return f"Fly runs an image that no build here has released: {tag[:_LONGEST_TAG]}. {last}"
    how = f"ended as {build.state}" if build.released_at is None else "was released before another one"
    return f"Fly runs the version of build {build.short_id}, which {how}. {last}"


def _about_machines(machines: Iterable[Machine | MachineOfOrganization], expected: _Expected) -> dict[Kind, str]:
    there = [machine for machine in machines if machine.state not in _GONE]
    managed = [machine.id for machine in there if machine.process_group]
    unknown = [machine.id for machine in there if not machine.process_group]
    said = {}
    if len(managed) > 1:
        said[Kind.SURPLUS] = f"A deployment has one machine, but flyctl manages {len(managed)}: {_named(managed)}."
    if unknown:
        said[Kind.UNKNOWN] = f"No build made these machines in the app: {_named(unknown)}."
    if expected.is_released and not managed:
        said[Kind.EMPTY] = (
            "A build of this app is released, but Fly has no machine that runs it. Deploy its image again."
        )
    return said


def _named(ids: list[str]) -> str:
    """Give as many of the ids, as text, as fit into the column with their sentence."""
    more = len(ids) - _MOST_NAMED
    return ", ".join(sorted(ids)[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
