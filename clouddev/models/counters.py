"""Figures of machines that nothing else would remember."""

from django.db import models

from core.fields import ChoiceField


class MachineCount(models.Model):
    """How many machines were in a state on a day (UTC), as it was last counted that day."""

    class State(models.TextChoices):
        """What all machines are one of."""

        RUNNING = "running"
        STOPPED = "stopped"
        CHANGING = "changing"
        FAILED = "failed"

    day = models.DateField()
    state = ChoiceField(max_length=10, choices=State)
    count = models.PositiveIntegerField()

    class Meta:
        """Newest first."""

        ordering = ("-day", "state")
        constraints = (models.UniqueConstraint(fields=["day", "state"], name="machine_count_once_per_day"),)

    def __str__(self) -> str:
        return f"{self.day}: {self.count} {self.state}"
