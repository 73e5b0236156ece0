"""The use log: which token was handed which credential, counted by the hour and written behind the requests.

A request adds one to a number in memory. A thread writes the numbers once a second, so that no request waits for it
and a process that is killed loses one second; one that is stopped writes what is left. While the database is away the
numbers wait, up to a limit. One that it refuses is set aside, so that it keeps no other from being written.
"""

import atexit
import logging
import threading
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DataError, IntegrityError, connection, transaction

from accounts.principals import Principal
from core.database import DATABASE_AWAY, delete_in_batches
from integrations.models import CredentialUse
from integrations.services.credentials import fetch_credentials

logger = logging.getLogger(__name__)

WRITES_EVERY_SECONDS = 1.0
_LONGEST_STOP_SECONDS = 5
MOST_WAITING = 20_000
# What says that a row can never be written; a text that PostgreSQL can't hold is a ValueError before it is sent.
_REFUSED = (DataError, IntegrityError, ValueError, OverflowError)
_ADD = """
INSERT INTO integrations_credentialuse AS kept
       (token_id, integration_id, connection_id, hour,
        person_id, person_label, organization_id, count, first_at, last_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (token_id, integration_id, connection_id, hour) DO UPDATE
   SET count = kept.count + EXCLUDED.count,
       first_at = LEAST(kept.first_at, EXCLUDED.first_at),
       last_at = GREATEST(kept.last_at, EXCLUDED.last_at)
"""


@dataclass(frozen=True, slots=True, order=True)
class Use:
    """What is counted together."""

    token_id: uuid.UUID
    integration_id: str
    connection_id: str
    hour: datetime
    person_id: uuid.UUID
    person_label: str
    organization_id: uuid.UUID


@dataclass(slots=True)
class Count:
    """How often, since when and until when."""

    count: int
    first_at: datetime
    last_at: datetime


def hand_out(*, caller: Principal, integration_id: str, connection_id: str, fresh: bool, now: datetime) -> bytes:
    """The connection's credentials, with the hand-out counted. Raises as `fetch_credentials` does."""
    answer = fetch_credentials(
        caller=caller, integration_id=integration_id, connection_id=connection_id, fresh=fresh, now=now
    )
    if settings.USE_LOG_DAYS:
        log.note(caller=caller, integration_id=integration_id, connection_id=connection_id, now=now)
    return answer


def prune(*, now: datetime) -> int:
    """Delete what is older than USE_LOG_DAYS; says how many rows. Without days nothing is kept."""
    return delete_in_batches(CredentialUse.objects.filter(hour__lt=now - timedelta(days=settings.USE_LOG_DAYS)))


class UseLog:
    """The numbers of one process that are still to be written, and the thread that writes them."""

    def __init__(self) -> None:
        self._waiting: dict[Use, Count] = {}
        self._lock = threading.Lock()
        self._awake, self._stopped = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        # Hand-outs of this process that are in the process's log alone.
        self.set_aside = 0

    def note(self, *, caller: Principal, integration_id: str, connection_id: str, now: datetime) -> None:
        """Count one hand-out; it is written within about a second."""
        hour = now.replace(minute=0, second=0, microsecond=0)
        use = Use(
            # A JWT has no row of its own; whom it was given to is known all the same.
            caller.credential_id or caller.id,
            integration_id,
            connection_id,
            hour,
            caller.id,
            caller.display_name,
            caller.organization_id,
        )
        self._add(use, Count(1, now, now))
        if self._thread is None:
            self._start()
        self._awake.set()

    def flush(self) -> int:
        """Write what waits; says how many rows. What is refused is set aside, and what can't be written now waits on.

        Raises what the database raises. Where it goes away before it has said that it has the rows, they are counted
        once more rather than not at all.
        """
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        try:
            # In one order, so that two processes don't wait for each other's rows.
            return self._write_down(sorted(waiting), waiting)
        except BaseException:
            for use, count in waiting.items():
                self._add(use, count)
            raise

    def stop(self) -> None:
        """Write what is left and end the thread."""
        self._stopped.set()
        self._awake.set()
        if self._thread is not None:
            self._thread.join(timeout=_LONGEST_STOP_SECONDS)
        if left := sum(count.count for count in self._waiting.values()):
            logger.error("the use log ends with %s hand-outs unwritten", left)

    def _write_down(self, uses: list[Use], waiting: dict[Use, Count]) -> int:
        """Write these rows, all at once where none is refused, and take them out of `waiting`; says how many were."""
        if not uses:
            return 0
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.executemany(_ADD, [_row(use, waiting[use]) for use in uses])
        except _REFUSED as error:
            if len(uses) == 1:
                self._set_aside(uses[0], waiting.pop(uses[0]), error)
                return 0
            middle = len(uses) // 2
            return self._write_down(uses[:middle], waiting) + self._write_down(uses[middle:], waiting)
        for use in uses:
            del waiting[use]
        return len(uses)

    def _set_aside(self, use: Use, count: Count, error: Exception) -> None:
        self.set_aside += count.count
        # Its class alone: what PostgreSQL says has the row in it.
        logger.error(
            "the use log can't hold a row (%s): token %s was handed %r of %r %s times from %s to %s; %s in all so far",
            type(error).__name__, use.token_id, use.connection_id, use.integration_id, count.count,
            count.first_at.isoformat(), count.last_at.isoformat(), self.set_aside,
        )  # fmt: skip

    def _add(self, use: Use, more: Count) -> None:
        with self._lock:
            count = self._waiting.get(use)
            if count is not None:
                count.count += more.count
                count.first_at, count.last_at = min(count.first_at, more.first_at), max(count.last_at, more.last_at)
            elif len(self._waiting) < MOST_WAITING:
                self._waiting[use] = more
            else:
                logger.error("the use log is full: a credential was handed to token %s unwritten", use.token_id)

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None:
                return
            self._thread = threading.Thread(target=self._write, name="use-log", daemon=True)
        self._thread.start()
        atexit.register(self.stop)

    def _write(self) -> None:
        try:
            while not self._stopped.is_set():
                self._awake.wait()
                self._awake.clear()
                # What comes within the second is written at once.
                self._stopped.wait(WRITES_EVERY_SECONDS)
                self._try_to_flush()
            # What came while the last numbers were being written.
            self._try_to_flush()
        finally:
            connection.close()

    def _try_to_flush(self) -> None:
        try:
            self.flush()
        except DATABASE_AWAY as error:
            logger.warning("the use log waits for the database: %s", type(error).__name__)
            connection.close()
            self._awake.set()
        except Exception:
            logger.exception("the use log can't be written")
            connection.close()
            self._awake.set()


def _row(use: Use, count: Count) -> tuple[uuid.UUID | str | datetime | int, ...]:
    return (
        use.token_id, use.integration_id, use.connection_id, use.hour, use.person_id, use.person_label,
        use.organization_id, count.count, count.first_at, count.last_at,
    )  # fmt: skip


log = UseLog()
