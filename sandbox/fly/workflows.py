"""Workflows of a development machine, as a test orders them, and their runs."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sandbox.fly.clock import spelled

RUNNING = "running"


@dataclass
class Workflow:
    """How a workflow goes: so many seconds, then it ends in this word, with an error or without."""

    seconds: float = 0.0
    status: str = "completed"
    error: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no test can mean. Raises TypeError or ValueError."""
        if isinstance(self.seconds, bool) or self.seconds < 0 or not isinstance(self.status, str):
            message = "seconds is a number that is not negative, status a word."
            raise ValueError(message)


@dataclass
class WorkflowRun:
    """One start of a workflow; `claims` are those of the token that came with it."""

    id: str
    workflow: str
    input: Any
    claims: dict[str, Any]
    started_at: datetime
    orders: Workflow

    def as_json(self, now: datetime) -> dict[str, Any]:
        """Give the run as it is by now."""
        over = now >= self.started_at + timedelta(seconds=self.orders.seconds)
        return {
            "runId": self.id,
            "workflow": self.workflow,
            "input": self.input,
            "claims": self.claims,
            "status": self.orders.status if over else RUNNING,
            "error": self.orders.error if over else None,
            "startedAt": spelled(self.started_at),
        }
