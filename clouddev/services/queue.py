"""Handing machines to the workers. A job only nudges: what is to be done stands in the rows."""

import uuid

from config.core.jobs import MACHINES, nudge

WORK = "clouddev.work"


def enqueue(machine_id: uuid.UUID) -> None:
    """Have a worker make, undo or destroy the machine. Inside a transaction the job appears with its commit."""
    nudge(WORK, queue=MACHINES, lock=f"machine:{machine_id}", machine_id=machine_id)
