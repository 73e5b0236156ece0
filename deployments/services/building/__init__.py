"""Carrying a build out, in a worker that may be killed at any line."""

from deployments.services.building.run import run_build
from deployments.services.building.sweep import recheck, sweep

__all__ = ["recheck", "run_build", "sweep"]
