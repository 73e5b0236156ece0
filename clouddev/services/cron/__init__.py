"""Workflows that start on machines at set times: managing them, noticing that one is due, and carrying a run out."""

from clouddev.services.cron.carrying import carry_on
from clouddev.services.cron.ticking import forget_old_runs, sweep, tick

__all__ = ["carry_on", "forget_old_runs", "sweep", "tick"]
