"""The lease of a build: taking it, recording what became of it, and ending it."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from accounts import audit
from accounts.models import Organization, User
from core.leases import HeartbeatLease
from deployments.models import Build, Deployment
from deployments.models.builds import LONGEST_SENTENCE
from deployments.services import queue
from deployments.services.building.fair_queue import builds_in_turn, has_room

MOST_ATTEMPTS = 4
# What a build may take beyond flyctl's own time: unpacking, and waiting for the app to answer.
_BESIDES = timedelta(minutes=15)
_RECHECK_AFTER = timedelta(seconds=20)
_AUDITED = {
    Build.State.LIVE: "build.released",
    Build.State.RELEASED: "build.released",
    Build.State.FAILED: "build.failed",
    Build.State.CANCELED: "build.canceled",
    Build.State.INTERRUPTED: "build.interrupted",
}
_WAITS_FOR_OTHERS = "Waiting for another build of yours or your organization to end…"


class Canceled(Exception):
    """Somebody asked for the build to be canceled, or for its app to be destroyed."""


def take_in_turn(build_id: Any) -> "BuildLease | None":
    """Take this build when its worker is gone, else the one whose turn it is: that one's job then does another."""
    waits = Build.objects.waiting().filter(pk=build_id).exists()
    lease = None if waits else take(build_id)
    if lease is not None:
        return lease
    for other in builds_in_turn():
        lease = take(other)
        if lease is not None:
            return lease
    return take(build_id) if waits else None


def take(build_id: Any) -> "BuildLease | None":
    """Take a build that waits, or whose worker is gone; None when it isn't to be had now.

    One build of an app runs at a time (a constraint says so), as many of an organization and a person as `fair_queue`
    says.
    """
    try:
        with transaction.atomic():
            build = Build.objects.select_related("deployment").filter(pk=build_id, finished_at=None).first()
            if build is None or not _has_room(build):
                return None
            return _claim(build)
    except IntegrityError:
        return None  # another build of the same app runs


def _has_room(build: Build) -> bool:
    """Whether organization and person may have one more running; their rows are locked until the build is taken."""
    if build.state != Build.State.QUEUED:
        # It holds its place already. Were it counted anew, deserted builds could wait for each other for ever.
        return True
    Organization.objects.select_for_update(no_key=True).get(pk=build.organization_id)
    User.objects.select_for_update(no_key=True).get(pk=build.deployment.owner_id)
    if has_room(build):
        return True
    Build.objects.waiting().filter(pk=build.pk).update(step=_WAITS_FOR_OTHERS)
    return False


def _claim(build: Build) -> "BuildLease | None":
    free = Build.objects.waiting() | Build.objects.deserted()
    taken = free.filter(pk=build.pk, attempt=build.attempt, finished_at=None).update(
        state=Case(When(state=Build.State.RELEASED, then=F("state")), default=Value(Build.State.BUILDING)),
        attempt=F("attempt") + 1,
        heartbeat_at=Now(),
        started_at=Coalesce(F("started_at"), Now()),
    )
    if not taken:
        return None
    build.refresh_from_db()
    return BuildLease(build)


class BuildLease(HeartbeatLease[Build]):
    """The right to work on a build."""

    def __init__(self, build: Build) -> None:
        longest = timedelta(minutes=settings.BUILD_MINUTES) + _BESIDES
        unfinished = Build.objects.filter(finished_at=None)
        super().__init__(build, unfinished=unfinished, longest_seconds=longest.total_seconds())
        self._cancel_requested = build.cancel_requested_at is not None and build.state != Build.State.RELEASED
        # Whether Fly ran the image before somebody's request to cancel was heard.
        self.was_overtaken = False

    @property
    def is_worn_out(self) -> bool:
        """Whether the build has cost so many workers that nobody shall try again."""
        return self.row.attempt - self.row.hand_overs > MOST_ATTEMPTS

    def listen(self) -> None:
        """See whether the build shall be canceled; one that is released ends early only with its app."""
        canceled = Q(state=Build.State.BUILDING, cancel_requested_at__isnull=False)
        destroyed = Q(deployment__state=Deployment.State.DESTROYING)
        self._cancel_requested = self.mine().filter(canceled | destroyed).exists()

    def require_going(self) -> None:
        """Raise LeaseLost, HandedOver or Canceled when this worker has to stop."""
        super().require_going()
        if self._cancel_requested:
            raise Canceled

    def note_released(self, *, image: str) -> None:
        """Record that Fly runs the new image: from here on nothing is built again, or canceled. Raises LeaseLost."""
        self.patiently(lambda: self._write_released(image))
        self.row.state, self.row.image = Build.State.RELEASED, image
        # A heartbeat that is under way may have looked at the row before.
        with self._beating:
            self._cancel_requested = False

    def _write_released(self, image: str) -> None:
        with transaction.atomic():
            asked = self.mine().select_for_update().values_list("cancel_requested_at", flat=True).first()
            self.update_now(
                state=Build.State.RELEASED, image=image[:300], released_at=timezone.now(), cancel_requested_at=None
            )
            if asked:
                self._audit("build.cancel_overtaken")
        self.was_overtaken = asked is not None

    def give_up(self, state: Build.State, sentence: str, *, image: str = "") -> None:
        """End the build in this state; as released where that is known, whatever came after. Raises LeaseLost.

        `image` is what Fly runs all the same.
        """
        if self.row.state == Build.State.RELEASED:
            self.finish(Build.State.RELEASED)
        else:
            self.finish(state, error=sentence, image=image)

    def finish(self, state: Build.State, *, error: str = "", image: str = "") -> None:
        """End the build, with its audit row; one that is only released has somebody ask later whether it answers.

        Raises LeaseLost.
        """
        values: dict[str, Any] = {"image": image[:300], "released_at": timezone.now()} if image else {}
        self.patiently(lambda: self._finish(state, error, values))

    def _finish(self, state: Build.State, error: str, values: dict[str, Any]) -> None:
        with transaction.atomic():
            self.update_now(
                state=state,
                error=error[:LONGEST_SENTENCE],
                finished_at=timezone.now(),
                sealed_environment=None,
                **values,
            )
            self._audit(_AUDITED[state], **({"error": error} if error else {}))
            if state == Build.State.RELEASED:
                queue.recheck_later(self.row.pk, after=_RECHECK_AFTER)

    def _audit(self, action: str, **details: str) -> None:
        audit.record(
            action,
            actor=self.row.pushed_by,
            target=self.row,
            details={"app": self.row.deployment.app_name, **details},
        )
