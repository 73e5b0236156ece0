"""Taking a machine that is to be made, undone or destroyed."""

import uuid
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from accounts import audit
from clouddev.models import Machine
from clouddev.models.machines import LONGEST_SENTENCE
from config.core.attempts import Attempt

# What takes longer is done again by another attempt.
_LONGEST = timedelta(minutes=15)


class MachineAttempt(Attempt[Machine]):
    """The right to work on a machine."""

    def __init__(self, machine: Machine) -> None:
        same_work = Machine.objects.unfinished().filter(state=machine.state)
        super().__init__(machine, unfinished=same_work, longest_seconds=_LONGEST.total_seconds())

    def note_step(self, sentence: str) -> None:
        """Show what is being done."""
        if sentence != self.row.step:
            self.record(step=sentence[:LONGEST_SENTENCE])

    def record(self, **values: Any) -> None:
        """Write to the row, here and in the database. Raises CutOff."""
        self.update(**values)
        for name, value in values.items():
            setattr(self.row, name, value)

    def end(self, state: Machine.State, action: str, **values: Any) -> None:
        """Bring the row into another state, with an audit row. Raises CutOff."""
        self.patiently(lambda: self._end(state, action, values))

    def _end(self, state: Machine.State, action: str, values: dict[str, Any]) -> None:
        with transaction.atomic():
            self.update_now(state=state, heartbeat_at=None, **values)
            audit.record(
                action,
                actor=self.row.owner,
                target=self.row,
                organization_id=self.row.organization_id,
                details={"fly_app": self.row.fly_app_id, **({"error": values["error"]} if values.get("error") else {})},
            )


def take(machine_id: uuid.UUID) -> MachineAttempt | None:
    """Claim a machine with work to be done, which nobody living is at; None when there is none."""
    machine = Machine.objects.unfinished().select_related("owner").filter(pk=machine_id).first()
    if machine is None:
        return None
    free = Machine.objects.free().filter(pk=machine_id, attempt=machine.attempt, state=machine.state)
    if not free.update(attempt=F("attempt") + 1, heartbeat_at=Now()):
        return None
    machine.refresh_from_db()
    return MachineAttempt(machine)
