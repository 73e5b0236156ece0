"""One worker's attempt at a build: taking it, saying that it lives, and ending it.

Every write asks for the attempt's number. A worker that was cut off from the database, and is back after
another one took over, finds that its number is old: nothing it writes arrives, and it stops.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from accounts import audit
from accounts.models import Organization
from config.core.jobs import stopping
from deployments.models import Build
from deployments.models.builds import HEARTBEAT_SECONDS, LONGEST_SENTENCE, TAKEOVER_AFTER

logger = logging.getLogger(__name__)

MOST_ATTEMPTS = 4
_PAUSE_SECONDS = 0.5
# Well before anybody else may take over, so that two never build at once.
_CUT_OFF_AFTER_SECONDS = TAKEOVER_AFTER.total_seconds() * 0.6
_AUDITED = {
    Build.State.LIVE: "build.released",
    Build.State.RELEASED: "build.released",
    Build.State.FAILED: "build.failed",
    Build.State.CANCELED: "build.canceled",
    Build.State.INTERRUPTED: "build.interrupted",
}
WAITS_FOR_OTHERS = "Waiting for another build of your organization to end…"
_INTERRUPTED = "The build was interrupted several times because its worker went away. Push again."


class CutOff(Exception):
    """The build is no longer this attempt's: another worker has it, or the database can't be reached."""


class Canceled(Exception):
    """Somebody asked for the build to be canceled."""


class HandedOver(Exception):
    """This worker is stopping; another one shall go on."""


def take(build_id: uuid.UUID) -> "Attempt | None":
    """Claim a build that waits, or whose worker is gone; None when it isn't to be had now.

    One build of an app runs at a time (a constraint says so), and BUILDS_PER_ORGANIZATION of an organization.
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
    """Whether the organization may have one more running; its row is locked until the claim is made."""
    Organization.objects.select_for_update(no_key=True).get(pk=build.organization_id)
    others = Build.objects.running().filter(organization=build.organization_id).exclude(pk=build.pk).count()
    if others < settings.BUILDS_PER_ORGANIZATION:
        return True
    Build.objects.waiting().filter(pk=build.pk).update(step=WAITS_FOR_OTHERS)
    return False


def _claim(build: Build) -> "Attempt | None":
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
    attempt = Attempt(build)
    if build.attempt > MOST_ATTEMPTS:
        attempt.finish(Build.State.INTERRUPTED, error=_INTERRUPTED)
        return None
    return attempt


class Attempt:
    """The right to work on a build. `build` is the row as it was taken."""

    def __init__(self, build: Build) -> None:
        self.build = build
        self._heard_at = time.monotonic()
        self._lost = False
        self._cancel_requested = build.cancel_requested_at is not None
        self._over = threading.Event()

    @property
    def is_cut_off(self) -> bool:
        """Whether another worker has the build, or may soon because nobody hears of this one."""
        return self._lost or time.monotonic() - self._heard_at > _CUT_OFF_AFTER_SECONDS

    @property
    def is_canceled(self) -> bool:
        """Whether somebody asked for the build to be canceled."""
        return self._cancel_requested

    def require_going(self) -> None:
        """Raise CutOff, HandedOver or Canceled when this attempt has to stop."""
        if self.is_cut_off:
            raise CutOff
        if self._cancel_requested:
            raise Canceled
        if stopping.is_set():
            raise HandedOver

    @contextmanager
    def heartbeating(self) -> Iterator[None]:
        """Say every few seconds, from a thread of its own, that this attempt lives, and listen for a cancel."""
        thread = threading.Thread(target=self._beat, name=f"heartbeat {self.build.pk}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _beat(self) -> None:
        # Nobody keeps a build that long: what hangs must not be kept alive by a thread that doesn't.
        latest = time.monotonic() + settings.BUILD_MINUTES * 60 + 600
        try:
            while not self._lost and time.monotonic() < latest:
                self._say_alive()
                if self._over.wait(HEARTBEAT_SECONDS):
                    break
        finally:
            connection.close()

    def _say_alive(self) -> None:
        began = time.monotonic()
        try:
            with connection.cursor() as cursor:
                cursor.execute(_BEAT, [self.build.pk, self.build.attempt])
                row = cursor.fetchone()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("build %s: no heartbeat: %s", self.build.pk, type(error).__name__)
            connection.close()
            return
        if row is None:
            self._lost = not self._over.is_set()
            return
        self._heard_at = began
        self._cancel_requested = row[0] is not None

    def update(self, **values: Any) -> None:
        """Write to the row, once the database can be reached. Raises CutOff when it is no longer this attempt's."""
        self.patiently(lambda: self._update(**values))

    def patiently(self, write: Callable[[], None]) -> None:
        """Write as soon as the database can be reached. Raises CutOff when that takes too long."""
        while True:
            try:
                write()
            except (OperationalError, InterfaceError) as error:
                if self.is_cut_off:
                    raise CutOff from error
                connection.close()
                time.sleep(_PAUSE_SECONDS)
            else:
                return

    def _update(self, **values: Any) -> None:
        if not self._mine().update(**values):
            self._lost = True
            raise CutOff

    def note_step(self, sentence: str) -> None:
        """Show what is being done; the command-line tool waits for as long as this changes."""
        if sentence != self.build.step:
            self.update(step=sentence[:LONGEST_SENTENCE])
            self.build.step = sentence

    def note_released(self, *, image: str, now: datetime) -> None:
        """Record that Fly runs the new image: from here on nothing is built again."""
        self.update(state=Build.State.RELEASED, image=image[:300], released_at=now)
        self.build.state, self.build.image = Build.State.RELEASED, image

    def finish(self, state: Build.State, *, error: str = "") -> None:
        """End the build, with its audit row. Raises CutOff."""
        self.patiently(lambda: self._finish(state, error))

    def _finish(self, state: Build.State, error: str) -> None:
        now = timezone.now()
        details: Mapping[str, str] = {"app": self.build.deployment.app_name, **({"error": error} if error else {})}
        with transaction.atomic():
            self._update(
                state=state,
                error=error[:LONGEST_SENTENCE],
                finished_at=now,
                heartbeat_at=now,
                sealed_environment=None,
            )
            audit.record(
                _AUDITED[state],
                actor=self.build.pushed_by,
                target=self.build,
                organization_id=self.build.organization_id,
                details=details,
            )

    def hand_over(self) -> None:
        """Let another worker go on at once."""
        self.update(heartbeat_at=Now() - 2 * TAKEOVER_AFTER)

    def _mine(self) -> Any:
        return Build.objects.filter(pk=self.build.pk, attempt=self.build.attempt, finished_at=None)


_BEAT = """
UPDATE deployments_build SET heartbeat_at = statement_timestamp()
 WHERE id = %s AND attempt = %s AND finished_at IS NULL
RETURNING cancel_requested_at
"""
