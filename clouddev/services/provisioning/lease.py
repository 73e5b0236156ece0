"""The lease of a machine that is to be made, undone or destroyed."""

import logging
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import DatabaseError, InterfaceError, transaction
from django.db.models import F
from django.db.models.functions import Now

from accounts import audit
from clouddev.models import Machine
from core.http_client import may_still_arrive
from core.leases import TAKEOVER_AFTER, HeartbeatLease, Result
from fly.clients.machines_api import FlyRefusesToken, LeaseHeld, PreconditionFailed, UnknownApp, UnknownMachine

logger = logging.getLogger(__name__)

# What takes longer is done again by another attempt.
_LONGEST = timedelta(minutes=15)
# For about a minute some of Fly's hosts deny what was just made, or don't have its secrets; and what changes
# right now takes no orders.
_SETTLES_WITHIN_SECONDS = 60.0
_PAUSE_SECONDS = 2.0
_BRIEF_TRIES = 3
_LONGEST_BRIEF_PAUSE_SECONDS = 10.0
LONGEST_REST = timedelta(minutes=10)
_MOST_DOUBLINGS = 10
_NOT_YET = (UnknownApp, UnknownMachine, FlyRefusesToken, PreconditionFailed, LeaseHeld)


def take(machine_id: uuid.UUID) -> "MachineLease | None":
    """Take a machine with work to be done, which nobody living is at; None when there is none."""
    machine = Machine.objects.unfinished().select_related("owner").filter(pk=machine_id).first()
    if machine is None:
        return None
    free = Machine.objects.free().filter(pk=machine_id, attempt=machine.attempt, state=machine.state)
    if not free.update(attempt=F("attempt") + 1, heartbeat_at=Now()):
        return None
    machine.refresh_from_db()
    return MachineLease(machine)


class MachineLease(HeartbeatLease[Machine]):
    """The right to do what the machine's state wants: it is lost when the state changes, too."""

    def __init__(self, machine: Machine) -> None:
        same_work = Machine.objects.unfinished().filter(state=machine.state)
        super().__init__(machine, unfinished=same_work, longest_seconds=_LONGEST.total_seconds())
        self._quiet_from = time.monotonic()

    @property
    def attempts(self) -> int:
        """How many workers have begun what the state wants, this one included."""
        return self.row.attempt - self.row.attempts_before

    def retry(self, call: Callable[[], Result], **limits: Any) -> Result:
        """As for every lease, keeping in mind that a call whose answer was lost may yet be carried out."""
        return super().retry(lambda: self._noted(call), **limits)

    def _noted(self, call: Callable[[], Result]) -> Result:
        try:
            return call()
        except Exception as error:
            if may_still_arrive(error):
                self._quiet_from = time.monotonic() + TAKEOVER_AFTER.total_seconds()
            raise

    def settle(self, call: Callable[[], Result]) -> Result:
        """Retry a call about what was made or changed a moment ago: Fly has a minute to see it everywhere."""
        until = time.monotonic() + _SETTLES_WITHIN_SECONDS
        while True:
            try:
                return self.retry(call)
            except _NOT_YET as error:
                if time.monotonic() > until:
                    raise
                logger.info("machine %s: not yet: %s", self.row.pk, type(error).__name__)
            self.wait(_PAUSE_SECONDS)

    def briefly(self, call: Callable[[], Result]) -> Result:
        """Retry within seconds: what fails for longer is not worth a worker's waiting."""
        return self.retry(call, tries=_BRIEF_TRIES, longest_pause=_LONGEST_BRIEF_PAUSE_SECONDS)

    def make_way(self) -> bool:
        """Let what was ordered meanwhile be begun at once, now that this worker has stopped.

        False when another worker has the row, or when something that this one has sent may still reach Fly.
        """
        if time.monotonic() < self._quiet_from:
            return False
        mine = Machine.objects.unfinished().filter(pk=self.row.pk, attempt=self.row.attempt)
        try:
            return bool(mine.exclude(state=self.row.state).update(heartbeat_at=None))
        except (DatabaseError, InterfaceError):
            return False

    def rest(self) -> None:
        """Leave the row alone for a while that grows with each attempt. Raises LeaseLost."""
        doublings = min(max(0, self.attempts - 1), _MOST_DOUBLINGS)
        self.hand_over(rest=min(TAKEOVER_AFTER * 2**doublings, LONGEST_REST))

    def end(self, state: Machine.State, action: str, **values: Any) -> None:
        """Bring the row into another state, with an audit row. Raises LeaseLost."""
        self.patiently(lambda: self._end(state, action, values))

    def _end(self, state: Machine.State, action: str, values: dict[str, Any]) -> None:
        with transaction.atomic():
            self.update_now(state=state, heartbeat_at=None, **values)
            audit.record(
                action,
                actor=self.row.owner,
                target=self.row,
                details={"fly_app": self.row.fly_app_id, **({"error": values["error"]} if values.get("error") else {})},
            )
