"""flyctl (https://fly.io/docs/flyctl/): builds and deploys from source. Nothing else here runs it."""

from deployments.clients.flyctl.environment import find_program
from deployments.clients.flyctl.orders import FlyctlMissing, Limits, Order, Outcome, StopReason
from deployments.clients.flyctl.running import run

__all__ = ["FlyctlMissing", "Limits", "Order", "Outcome", "StopReason", "find_program", "run"]
