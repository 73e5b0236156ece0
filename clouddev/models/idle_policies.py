"""What an organization wants done with machines that nobody uses."""

from django.db import models

from accounts.models import Organization
from core.fields import ChoiceField


class IdlePolicy(models.Model):
    """Stopping and deleting for want of use. Without a row, or where a number is empty, nothing is done."""

    class Action(models.TextChoices):
        """What becomes of a machine that was not used for long, some days after the warning."""

        STOP = "stop", "stop it"
        DELETE = "delete", "delete it with its data"

    organization = models.OneToOneField(Organization, on_delete=models.CASCADE, related_name="idle_policy")
    stop_after_minutes = models.PositiveIntegerField("stop after minutes without activity", null=True, blank=True)
    warn_after_days = models.PositiveIntegerField("warn after days without activity", null=True, blank=True)
    days_to_react = models.PositiveIntegerField("days between the warning and what follows", default=7)
    then = ChoiceField("and then", max_length=10, choices=Action, default=Action.STOP)
    # Who was warned under other rules has the days to react from then on.
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        """Named for people."""

        verbose_name_plural = "idle policies"

    def __str__(self) -> str:
        return f"idle workspaces of {self.organization}"
