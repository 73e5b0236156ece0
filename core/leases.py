"""A worker's right to carry on with a row's long work, and how it loses that right.

Each taking of the work raises the row's `attempt`, and every write asks for the attempt's own number. A worker
that was cut off from the database, and is back after another one took over, finds that its number is old:
nothing it writes arrives, and it stops.
"""

import logging
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


__all__ = ["DATABASE_AWAY", "TAKEOVER_AFTER", "CutOff", "HandedOver", "Lease", "Leased", "Result", "expired"]


class CutOff(Exception):
    """The work is no longer this attempt's: another worker has it, or the database can't be reached."""


class HandedOver(Exception):
    """This worker is stopping; another one shall go on."""


class Leased(models.Model):
    """A row whose work is done by workers that may die."""

    attempt = models.PositiveIntegerField(default=0)
    heartbeat_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """Columns of other tables."""

        abstract = True


def expired() -> models.Q:
    """Rows whose worker has not been heard of for so long that it must be gone."""
    return models.Q(heartbeat_at__lt=Now() - TAKEOVER_AFTER)


Row = TypeVar("Row", bound=Leased)
Result = TypeVar("Result")


class Lease(Generic[Row]):
    """The right to work on `row`, as it was taken. `unfinished` are the rows that still have work to be done.

    It is lost after `longest_seconds` at the latest: what hangs must not be kept by a thread that doesn't.
    """

    def __init__(self, row: Row, *, unfinished: models.QuerySet[Row], longest_seconds: float) -> None:
        self.row = row
        self._unfinished = unfinished
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
        """Raise CutOff or HandedOver when this attempt has to stop."""
        if self.is_cut_off:
            raise CutOff
        if stopping.is_set():
            raise HandedOver

    def wait(self, seconds: float) -> None:
        """Wait, and raise as soon as this attempt has to stop."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.require_going()
            time.sleep(min(0.2, seconds))

    @contextmanager
    def heartbeating(self) -> Iterator[None]:
        """Say every second, from a thread of its own, that this attempt lives."""
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

    def mine(self) -> models.QuerySet[Row]:
        """The row, as long as it is this attempt's."""
        return self._unfinished.filter(pk=self.row.pk, attempt=self.row.attempt)

    def update(self, **values: Any) -> None:
        """Write to the row, once the database can be reached. Raises CutOff when it is no longer this attempt's."""
        self.patiently(lambda: self.update_now(**values))

    def update_now(self, **values: Any) -> None:
        """The same within a transaction of the caller's."""
        if not self.mine().update(**values):
            self._lost = True
            raise CutOff

    def patiently(self, write: Callable[[], None]) -> None:
        """Write as soon as the database can be reached. Raises CutOff when that takes too long."""
        while True:
            try:
                write()
            except DATABASE_AWAY as error:
                if self.is_cut_off:
                    raise CutOff from error
                connection.close()
                time.sleep(_PAUSE_SECONDS)
            else:
                return

    def retry(self, call: Callable[[], Result]) -> Result:
        """The call's result; where an upstream fails, is slow or busy, once more, for about a minute.

        For what can be asked twice. Raises the last failure, or CutOff and its like meanwhile.
        """
        for number in range(1, _TRIES):
            try:
                return call()
            except (UpstreamFailed, UpstreamTimeout, Unavailable) as error:
                if error.is_permanent or (isinstance(error, Unavailable) and error.retry_after is None):
                    raise  # waiting won't help
                logger.warning("%s: try %s: %s", self.row.pk, number, type(error).__name__)
                self.wait(max(_PAUSE_SECONDS * 4 * number, error.retry_after or 0))
        return call()

    def hand_over(self, **values: Any) -> None:
        """Let another worker go on at once, and write the values."""
        # One more heartbeat would have it wait.
        with self._beating:
            self._over.set()
        self.update(heartbeat_at=Now() - 2 * TAKEOVER_AFTER, **values)
