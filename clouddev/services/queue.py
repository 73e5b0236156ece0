"""Handing machines to the workers. A job only nudges: what is to be done stands in the rows."""

import uuid
from datetime import timedelta

from config.core.jobs import MACHINES, nudge

WORK = "clouddev.work"
CARRY_ON = "clouddev.carry_on_wish"


def enqueue(machine_id: uuid.UUID) -> None:
    """Have a worker make, undo or destroy the machine. Inside a transaction the job appears with its commit."""
    nudge(WORK, queue=MACHINES, lock=f"machine:{machine_id}", machine_id=machine_id)


def enqueue_wish(machine_id: uuid.UUID, *, after: timedelta = timedelta(0)) -> None:
    """Have a worker see to it that the machine is started or stopped as was wished, after a while."""
    nudge(CARRY_ON, queue=MACHINES, lock=f"machine-wish:{machine_id}", after=after, machine_id=machine_id)
