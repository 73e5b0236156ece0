"""Leases: the right to write to a row, which is lost as soon as somebody else takes the row.

Taking one is a conditional UPDATE that writes something only the taker knows, and every write asks for that. Who was
cut off from the database, and is back after another one took over, finds that nothing it writes arrives, and stops.

Long work has a `HeartbeatLease`: each taking raises the row's `attempt`, and a thread says every second that it lives.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Generic, TypeVar

from django.db import DatabaseError, InterfaceError, connection, models
from django.db.models.functions import Now

from core.database import DATABASE_AWAY
from core.errors import Unavailable, UpstreamFailed, UpstreamTimeout
from core.queues import stopping

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 1.0
# After this long without a heartbeat, by the database's clock, another worker may take over.
TAKEOVER_AFTER = timedelta(seconds=30)
# Well before that, so that two never work at once: what a worker has started needs a few seconds to be stopped.
_CUT_OFF_AFTER_SECONDS = TAKEOVER_AFTER.total_seconds() * 0.6
_PAUSE_SECONDS = 0.5
_TRIES = 7
LONGEST_STEP = 500


class LeaseLost(Exception):
    """The row is another's by now, or may soon be since the database can't be reached."""


class HandedOver(Exception):
    """This worker is stopping; another one shall go on."""


class Leased(models.Model):
    """A row whose work is done by workers that may die."""

    attempt = models.PositiveIntegerField(default=0)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    # What is being done, for people.
    step = models.CharField(max_length=LONGEST_STEP, blank=True)

    class Meta:
        """Columns of other tables."""

        abstract = True


def expired() -> models.Q:
    """Rows whose worker has not been heard of for so long that it must be gone."""
    return models.Q(heartbeat_at__lt=Now() - TAKEOVER_AFTER)


Row = TypeVar("Row", bound=models.Model)
LeasedRow = TypeVar("LeasedRow", bound=Leased)
Result = TypeVar("Result")


class Lease(Generic[Row]):
    """The right to write to `row`, as it was taken. `mine` finds the row for as long as it is this lease's."""

    def __init__(self, row: Row, *, mine: models.QuerySet[Row]) -> None:
        self.row, self._mine = row, mine

    def mine(self) -> models.QuerySet[Row]:
        """The row, as long as it is this lease's."""
        return self._mine.all()

    def update_now(self, **values: Any) -> None:
        """Write to the row, within the caller's transaction if there is one. Raises LeaseLost."""
        if not self.mine().update(**values):
            raise LeaseLost


class HeartbeatLease(Lease[LeasedRow]):
    """The lease of a worker at `row`, for as long as it is among `unfinished`, the rows with work to be done.

    It is lost after `longest_seconds` at the latest: what hangs must not be kept by a thread that doesn't.
    """

    def __init__(self, row: LeasedRow, *, unfinished: models.QuerySet[LeasedRow], longest_seconds: float) -> None:
        super().__init__(row, mine=unfinished.filter(pk=row.pk, attempt=row.attempt))
        self._heard_at = time.monotonic()
        self._latest = self._heard_at + longest_seconds
        self._lost = False
        self._over = threading.Event()
        self._beating = threading.Lock()

    @property
    def is_cut_off(self) -> bool:
        """Whether another worker has the work, or may soon because nobody hears of this one."""
        return self._lost or time.monotonic() - self._heard_at > _CUT_OFF_AFTER_SECONDS

    def require_going(self) -> None:
        """Raise LeaseLost or HandedOver when this worker has to stop."""
        if self.is_cut_off:
            raise LeaseLost
        if stopping.is_set():
            raise HandedOver

    def wait(self, seconds: float) -> None:
        """Wait, and raise as soon as this worker has to stop."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.require_going()
            time.sleep(min(0.2, seconds))

    @contextmanager
    def heartbeating(self) -> Iterator[None]:
        """Say every second, from a thread of its own, that this worker lives."""
        thread = threading.Thread(target=self._beat, name=f"heartbeat {self.row.pk}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _beat(self) -> None:
        try:
            while not self._lost and time.monotonic() < self._latest:
                with self._beating:
                    if not self._over.is_set():
                        self._say_alive()
                if self._over.wait(HEARTBEAT_SECONDS):
                    break
        finally:
            connection.close()

    def _say_alive(self) -> None:
        began = time.monotonic()
        try:
            alive = self.mine().update(heartbeat_at=Now())
            if alive:
                self.listen()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("%s: no heartbeat: %s", self.row.pk, type(error).__name__)
            connection.close()
            return
        if alive:
            self._heard_at = began
        else:
            self._lost = not self._over.is_set()

    def listen(self) -> None:
        """See whether somebody wants something of this attempt; called after every heartbeat."""

    def update_now(self, **values: Any) -> None:
        """Write to the row, within the caller's transaction if there is one. Raises LeaseLost."""
        try:
            super().update_now(**values)
        except LeaseLost:
            self._lost = True
            raise

    def update(self, **values: Any) -> None:
        """Write to the row as soon as the database can be reached. Raises LeaseLost."""
        self.patiently(lambda: self.update_now(**values))

    def record(self, **values: Any) -> None:
        """Write to the row, in the database and here. Raises LeaseLost."""
        self.update(**values)
        for name, value in values.items():
            setattr(self.row, name, value)

    def note_step(self, sentence: str) -> None:
        """Show what is being done: people and tools wait for as long as this changes. Raises LeaseLost."""
        if sentence[:LONGEST_STEP] != self.row.step:
            self.record(step=sentence[:LONGEST_STEP])

    def patiently(self, write: Callable[[], None]) -> None:
        """Write as soon as the database can be reached. Raises LeaseLost when that takes too long."""
        while True:
            try:
                write()
            except DATABASE_AWAY as error:
                if self.is_cut_off:
                    raise LeaseLost from error
                connection.close()
                time.sleep(_PAUSE_SECONDS)
            else:
                return

    def retry(self, call: Callable[[], Result], *, tries: int = _TRIES, longest_pause: float = math.inf) -> Result:
        """The call's result; where an upstream fails, is slow or busy, once more, for about a minute.

        For what can be asked twice. Raises the last failure, also instead of a pause that would be too long;
        or LeaseLost and its like meanwhile.
        """
        for number in range(1, tries):
            try:
                return call()
            except (UpstreamFailed, UpstreamTimeout, Unavailable) as error:
                waiting_helps = not isinstance(error, Unavailable) or error.retry_after is not None
                pause = max(_PAUSE_SECONDS * 4 * number, error.retry_after or 0)
                if error.is_permanent or not waiting_helps or pause > longest_pause:
                    raise
                logger.warning("%s: try %s: %s", self.row.pk, number, type(error).__name__)
                self.wait(pause)
        return call()

    def hand_over(self, *, rest: timedelta = -TAKEOVER_AFTER, **values: Any) -> None:
        """Let another worker go on, at once or after a rest, and write the values. Raises LeaseLost."""
        # One more heartbeat would have it wait.
        with self._beating:
            self._over.set()
        self.update(heartbeat_at=Now() - TAKEOVER_AFTER + rest, **values)
