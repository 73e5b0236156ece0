"""What people and operators are shown of a build: one word, its tone, and what happened when."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.badges import Badge, Tone
from deployments.models import Build, Deployment

State = Build.State
_WORDS: dict[str, tuple[str, Tone]] = {
    State.QUEUED: ("Queued", "going"),
    State.BUILDING: ("Building", "going"),
    State.RELEASED: ("Starting", "going"),
    State.LIVE: ("Live", "good"),
    State.FAILED: ("Failed", "bad"),
    State.CANCELED: ("Canceled", "plain"),
    State.INTERRUPTED: ("Interrupted", "bad"),
}
_ENDED: dict[str, str] = {
    State.RELEASED: "No answer in time",
    State.LIVE: "The app answers",
    State.FAILED: "Failed",
    State.CANCELED: "Canceled",
    State.INTERRUPTED: "Interrupted",
}
TO_PUSH_AGAIN: frozenset[str] = frozenset({State.FAILED, State.INTERRUPTED})


@dataclass(frozen=True, slots=True)
class Milestone:
    """Something that happened to a build."""

    title: str
    at: datetime
    note: str = ""


def badge_of(build: Build, *, is_replaced: bool = False) -> Badge:
    """How the build is; `is_replaced` when a later one of its app was released."""
    if build.state == State.QUEUED and build.accepted_at is None:
        return Badge("Receiving", "going")
    if build.cancel_requested_at and not build.is_over:
        return Badge("Canceling", "warn")
    if is_replaced and build.released_at and build.state in {State.LIVE, State.RELEASED}:
        return Badge("Replaced", "plain")
    if build.state == State.RELEASED and build.is_over:
        return Badge("Not answering", "warn")
    return Badge(*_WORDS[build.state])


def badge_of_app(deployment: Deployment, latest: Build | None) -> Badge:
    """How the app is, by its latest build."""
    if deployment.state == Deployment.State.DESTROYING:
        return Badge("Being destroyed", "warn")
    return badge_of(latest) if latest else Badge("Nothing pushed yet", "plain")


def is_going(badges: Iterable[Badge]) -> bool:
    """Whether any of them is going to change by itself."""
    return any(badge.tone in {"going", "warn"} for badge in badges)


def running(deployments: list[Deployment]) -> set[uuid.UUID]:
    """Give the ids of the apps that run at Fly as far as our rows say, in one query, without those being removed."""
    there = [deployment for deployment in deployments if deployment.state == Deployment.State.READY]
    released = Build.objects.filter(deployment__in=there).exclude(released_at=None)
    return set(released.order_by().values_list("deployment_id", flat=True).distinct())


def current_release(deployment: Deployment) -> Build | None:
    """The build whose image Fly runs, as far as we know: the one released last."""
    return Build.objects.filter(deployment=deployment).exclude(released_at=None).order_by("-released_at", "-pk").first()


def milestones_of(build: Build) -> list[Milestone]:
    """What has happened to the build, in order."""
    asked = "Asked to be deployed again" if build.from_image else "Pushed"
    happened = [Milestone(asked, build.created_at)]
    if build.started_at:
        note = f"attempt {build.attempt}" if build.attempt > 1 else ""
        happened.append(Milestone("Taken by a worker", build.started_at, note))
    if build.released_at:
        happened.append(Milestone("Released", build.released_at))
    if build.cancel_requested_at:
        happened.append(Milestone("Asked to stop", build.cancel_requested_at))
    if build.finished_at:
        happened.append(Milestone(_ENDED.get(build.state, "Over"), build.finished_at))
    return sorted(happened, key=lambda milestone: milestone.at)


def time_taken(build: Build) -> str:
    """How long a worker was at it, such as "1 min 12 s"; "" while that isn't known."""
    if not (build.started_at and build.finished_at):
        return ""
    return spoken(build.finished_at - build.started_at)


def spoken(length: timedelta) -> str:
    """A length of time in minutes and seconds."""
    minutes, seconds = divmod(max(0, round(length.total_seconds())), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
