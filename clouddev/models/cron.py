"""Workflows that are started on a machine at set times."""

import uuid
from datetime import datetime

from django.db import models

from accounts.models import User
from accounts.models.users import Person
from clouddev.models.machines import Machine
from core.fields import ChoiceField

LONGEST_NAME = 200
LONGEST_ERROR = 500


class CronJobQuerySet(models.QuerySet["CronJob"]):
    """Jobs."""

    def for_member(self, person: Person) -> "CronJobQuerySet":
        """Those of machines that the person may use; none of a suspended organization."""
        return self.filter(machine__members__user_id=person.id, machine__organization__suspended_at=None)

    def due(self, *, now: datetime) -> "CronJobQuerySet":
        """Those whose time has come and that nobody paused."""
        return self.filter(paused_at=None, next_run_at__lte=now)


class CronJob(models.Model):
    """One workflow of one machine, and when it starts."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    machine = models.ForeignKey(Machine, verbose_name="workspace", on_delete=models.CASCADE, related_name="cron_jobs")
    # Whoever made or last changed it: runs start in this person's name, as long as they may use the machine.
    created_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="cron_jobs")
    workflow_name = models.CharField(max_length=LONGEST_NAME)
    cron_expression = models.CharField(max_length=100)
    timezone = models.CharField(max_length=64)
    input = models.JSONField(null=True, blank=True)
    next_run_at = models.DateTimeField(null=True, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_reason = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    objects = CronJobQuerySet.as_manager()

    class Meta:
        """By name."""

        ordering = ("workflow_name", "pk")
        constraints = (
            models.UniqueConstraint(fields=["machine", "workflow_name"], name="cron_job_once_per_workflow"),
            models.CheckConstraint(
                name="cron_job_paused_for_a_reason",
                condition=models.Q(paused_at=None, paused_reason="")
                | models.Q(~models.Q(paused_reason=""), paused_at__isnull=False),
            ),
        )
        indexes = (models.Index(fields=["next_run_at"], name="cron_job_due", condition=models.Q(paused_at=None)),)

    def __str__(self) -> str:
        return f"{self.workflow_name} on {self.machine}"

    @property
    def organization_id(self) -> uuid.UUID:
        """The machine's."""
        return self.machine.organization_id


class CronRunQuerySet(models.QuerySet["CronRun"]):
    """Runs."""

    def unfinished(self) -> "CronRunQuerySet":
        """Those under way."""
        return self.filter(finished_at=None)

    def due(self, *, now: datetime) -> "CronRunQuerySet":
        """Those under way whose next step may be taken: nobody is at them, or whoever was is gone."""
        return self.unfinished().filter(next_step_at__lte=now)


class CronRun(models.Model):
    """One start of a cron job and what became of it.

    It goes on in steps of some seconds each. Whoever takes a step raises `step`, and writes only as long as the
    number is theirs.
    """

    class State(models.TextChoices):
        """starting → running → succeeded or failed."""

        STARTING = "starting"
        RUNNING = "running"
        SUCCEEDED = "succeeded"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    job = models.ForeignKey(CronJob, on_delete=models.CASCADE, related_name="runs")
    state = ChoiceField(max_length=10, choices=State, default=State.STARTING)
    # The time of the schedule; when it really began is `started_at`.
    due_at = models.DateTimeField()
    run_id = models.CharField("id on the workspace", max_length=200, blank=True)
    error = models.CharField(max_length=LONGEST_ERROR, blank=True)
    started_at = models.DateTimeField()
    # Set before the machine is asked to start the workflow: from then on it may have started.
    sent_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    step = models.PositiveIntegerField(default=0, editable=False)
    # While a step is taken, when it must be over at the latest.
    next_step_at = models.DateTimeField(editable=False)
    # How often the machine could not be asked to start the workflow.
    tries = models.PositiveSmallIntegerField(default=0, editable=False)

    objects = CronRunQuerySet.as_manager()

    class Meta:
        """Newest first."""

        ordering = ("-due_at", "-pk")
        constraints = (
            models.UniqueConstraint(fields=["job", "due_at"], name="cron_run_once"),
            models.CheckConstraint(
                name="cron_run_over_has_its_end",
                condition=models.Q(state__in=["starting", "running"], finished_at=None)
                | models.Q(state__in=["succeeded", "failed"], finished_at__isnull=False),
            ),
            models.CheckConstraint(
                name="cron_run_running_was_sent",
                condition=~models.Q(state__in=["running", "succeeded"])
                | models.Q(~models.Q(run_id=""), sent_at__isnull=False),
            ),
        )
        indexes = (
            models.Index(fields=["next_step_at"], name="cron_run_unfinished", condition=models.Q(finished_at=None)),
            models.Index(fields=["finished_at"], name="cron_run_finished"),
        )

    def __str__(self) -> str:
        return f"{self.job} at {self.due_at:%Y-%m-%d %H:%M}"
