"""Machines, their members and offers, the tokens given out for them, and what they run at set times."""

from clouddev.models.cron import CronJob, CronRun
from clouddev.models.idle_policies import IdlePolicy
from clouddev.models.machines import Machine, MachineCount, Member
from clouddev.models.offers import Offer
from clouddev.models.tokens import MachineToken, WebhookToken

__all__ = [
    "CronJob", "CronRun", "IdlePolicy", "Machine", "MachineCount", "MachineToken", "Member", "Offer", "WebhookToken",
]  # fmt: skip
