"""The operators' view of machines, their tokens, cron jobs and idle policies: one module per subject."""

from clouddev.admin import cron, idle_policies, machines, tokens

__all__ = ["cron", "idle_policies", "machines", "tokens"]
