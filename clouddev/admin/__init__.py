"""The operators' view of machines, their tokens, cron jobs and idle policies: one module per subject."""

from clouddev.admin import cron, machines, policies, tokens

__all__ = ["cron", "machines", "policies", "tokens"]
