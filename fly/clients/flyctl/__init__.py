"""flyctl (https://fly.io/docs/flyctl/): builds and deploys from source. Nothing else here runs it."""

from fly.clients.flyctl.process_env import find_program
from fly.clients.flyctl.run import run
from fly.clients.flyctl.types import FlyctlMissing, Limits, Order, Outcome, StopReason

__all__ = ["FlyctlMissing", "Limits", "Order", "Outcome", "StopReason", "find_program", "run"]
