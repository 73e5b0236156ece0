"""Workflows that start on machines at set times: managing them, noticing that one is due, and carrying a run out."""

from clouddev.services.cron.run_steps import carry_on
from clouddev.services.cron.scheduler import forget_old_runs, sweep, tick

__all__ = ["carry_on", "forget_old_runs", "sweep", "tick"]
