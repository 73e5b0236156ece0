"""Workspaces, who may use them, and how many of them there were on each day."""

import uuid

from django.db import models
from django.db.models.functions import Lower

from accounts.models import Organization, User
from accounts.models.users import Person
from core import fields
from core.fields import ChoiceField, SealedField
from core.leases import Leased, expired
from fly.models import FlyApp, url_of
from fly.names import LONGEST_APP_NAME

LONGEST_SENTENCE = 500


class KeyLost(fields.KeyLost):
    """503: what is sealed in a machine's row can't be opened, because the key is not configured any more."""

    default = (
        "This workspace's key can't be read any more. Tell an operator of this server that an encryption key is "
        "missing, or destroy the workspace and create it anew."
    )


class MachineQuerySet(models.QuerySet["Machine"]):
    """Machines."""

    def for_member(self, person: Person) -> "MachineQuerySet":
        """Those that the person may use; none of a suspended organization."""
        return self.filter(members__user_id=person.id, organization__suspended_at=None)

    def for_owner(self, person: Person) -> "MachineQuerySet":
        """Those that the person decides about."""
        return self.filter(members__user_id=person.id, members__role=Member.Role.OWNER, organization__suspended_at=None)

    def unfinished(self) -> "MachineQuerySet":
        """Those that are being made or destroyed, or shall be."""
        return self.filter(state__in=[Machine.State.CREATING, Machine.State.UNDOING, Machine.State.DESTROYING])

    def awaited(self) -> "MachineQuerySet":
        """Ready ones that Fly has yet to start or to stop."""
        return self.filter(state=Machine.State.READY, wanted_at__isnull=False)

    def free(self) -> "MachineQuerySet":
        """Unfinished ones that no living worker is at."""
        return self.unfinished().filter(models.Q(heartbeat_at=None) | expired())


class Machine(Leased):
    """One machine at Fly with its volume, in an app of its own, and maybe with a schema in the data database.

    The row comes before anything outside and goes after all of it. What is sealed here opens in this row only.
    """

    class State(models.TextChoices):
        """creating → ready → destroying; or creating → undoing → failed, from where it can be created again.

        Whether a ready machine runs is Fly's to say. A row that is destroyed is deleted.
        """

        CREATING = "creating"
        READY = "ready"
        UNDOING = "undoing"
        FAILED = "failed"
        DESTROYING = "destroying"

    class Wanted(models.TextChoices):
        """What people ask of a ready machine, in Fly's words."""

        STARTED = "started"
        STOPPED = "stopped"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app_name = models.CharField(max_length=LONGEST_APP_NAME)
    fly_app = models.OneToOneField(FlyApp, on_delete=models.PROTECT, related_name="machine")
    # A person goes after their machines, so that nothing of theirs is left running at Fly.
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="machines")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="machines")
    region = models.CharField(max_length=10)
    state = ChoiceField(max_length=10, choices=State, default=State.CREATING)
    error = models.CharField(max_length=LONGEST_SENTENCE, blank=True)
    # Whose home the machine has: the Linux user of whoever made it, also after a transfer.
    dev_user = models.CharField(max_length=32)
    ssh_public_key = models.TextField(editable=False)
    sealed_ssh_key = SealedField(lost=KeyLost)
    # What the caller wants set, until the machine is made; after a failure for another try, until the time beside it.
    sealed_environment = SealedField(null=True, lost=KeyLost)
    variables_kept_until = models.DateTimeField(null=True, blank=True, editable=False)
    # Whether there was anything to set. One that had nothing can be made again when that is erased.
    had_variables = models.BooleanField(db_default=True, editable=False)
    # Fly's count of changes of the app's secrets; None until they are set.
    secrets_version = models.BigIntegerField(null=True, blank=True)
    # The role and the schema in the data database; "" where the caller brought a database.
    database_schema = models.CharField(max_length=63, blank=True)
    database_host = models.CharField(max_length=255, blank=True)
    volume_id = models.CharField(max_length=64, blank=True)
    fly_machine_id = models.CharField(max_length=64, blank=True)
    # What it was made with; settings may say something else by now.
    cpus = models.PositiveSmallIntegerField(null=True, blank=True)
    memory_mb = models.PositiveIntegerField(null=True, blank=True)
    # The attempt before the first one at what its state wants: a row may be made anew, and is removed once.
    attempts_before = models.PositiveIntegerField(default=0, editable=False)
    # Fly's own word, as it was last heard.
    fly_state = models.CharField(max_length=30, blank=True)
    # How it was last asked to be while ready, and by whom; no person is this server. Until Fly has done it, or it has
    # turned out impossible, `wanted_at` says since when. Why it was impossible is in `error`.
    wanted = ChoiceField(max_length=10, choices=Wanted, blank=True)
    wanted_at = models.DateTimeField(null=True, blank=True)
    wanted_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    # The last desired state that a caller was told is going to be reached, until it is. It counts again when a later
    # one fails.
    promised = ChoiceField(max_length=10, choices=Wanted, blank=True, db_default="", editable=False)
    promised_at = models.DateTimeField(null=True, blank=True, editable=False)
    promised_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    created_at = models.DateTimeField()
    ready_at = models.DateTimeField(null=True, blank=True)
    last_active_at = models.DateTimeField(null=True, blank=True)
    # Until then it is neither stopped nor deleted for being idle.
    keep_alive_until = models.DateTimeField(null=True, blank=True)
    # When its members were told that it is going to be stopped or deleted for want of use.
    warned_at = models.DateTimeField(null=True, blank=True)

    objects = MachineQuerySet.as_manager()

    class Meta:
        """Newest first."""

        verbose_name = "workspace"
        ordering = ("-created_at", "-pk")
        constraints = (
            models.UniqueConstraint("owner", Lower("app_name"), name="machine_called_once_per_owner"),
            models.CheckConstraint(
                name="machine_ready_at",
                condition=~models.Q(state="ready") | models.Q(ready_at__isnull=False),
            ),
            models.CheckConstraint(
                name="machine_ready_is_left_alone",
                condition=~models.Q(state__in=["ready", "failed"]) | models.Q(heartbeat_at=None),
            ),
            # Variables are kept for its making, and after a failure for another one.
            models.CheckConstraint(
                name="machine_variables_for_its_making",
                condition=models.Q(state="creating", variables_kept_until=None)
                | models.Q(state__in=["undoing", "failed"])
                | models.Q(sealed_environment=None, variables_kept_until=None),
            ),
            models.CheckConstraint(
                name="machine_wanted_somehow", condition=models.Q(wanted_at=None) | ~models.Q(wanted="")
            ),
            models.CheckConstraint(
                name="machine_promised_somehow", condition=models.Q(promised_at=None) | ~models.Q(promised="")
            ),
        )
        indexes = (
            models.Index(
                fields=["heartbeat_at"],
                name="machine_unfinished",
                condition=models.Q(state__in=["creating", "undoing", "destroying"]),
            ),
            models.Index(fields=["wanted_at"], name="machine_awaited", condition=models.Q(wanted_at__isnull=False)),
            models.Index(
                fields=["variables_kept_until"],
                name="machine_variables_kept",
                condition=models.Q(variables_kept_until__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return self.app_name

    @property
    def url(self) -> str:
        """Where its apps answer."""
        return url_of(self.fly_app_id)


class Member(models.Model):
    """Somebody who may use a machine; owners also decide about it."""

    class Role(models.TextChoices):
        """What a member may do."""

        OWNER = "owner"
        MEMBER = "member"

    machine = models.ForeignKey(Machine, verbose_name="workspace", on_delete=models.CASCADE, related_name="members")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="machine_memberships")
    role = ChoiceField(max_length=10, choices=Role, default=Role.MEMBER)
    linux_user = models.CharField(max_length=32)
    created_at = models.DateTimeField()

    class Meta:
        """Owners first."""

        ordering = ("-role", "created_at", "pk")
        constraints = (models.UniqueConstraint(fields=["machine", "user"], name="member_once_per_machine"),)

    def __str__(self) -> str:
        return f"{self.user} ({self.role})"


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
