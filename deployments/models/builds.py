"""Builds: what became of each push, and its log."""

import uuid

from django.db import models

from accounts.models import Organization, User
from accounts.models.users import Person
from core.fields import ChoiceField, SealedField
from core.leases import Leased, expired
from deployments.models.deployments import Deployment

LONGEST_SENTENCE = 500
# Which build is an app's latest: what was accepted last, since that is what was built last. A push that never was
# counts where no other is there. An index has this order.
LATEST_FIRST = (models.F("accepted_at").desc(nulls_last=True), models.F("created_at").desc(), models.F("id").desc())
LATEST_FIRST_SQL = "accepted_at DESC NULLS LAST, created_at DESC, id DESC"


# How the tag of a build's image begins; the build's id follows.
_TAG = "build-"


def tag_of(reference: str) -> str:
    """The tag of an image's reference, `registry/repository:tag@digest`; "" where it has none."""
    name = reference.partition("@")[0]
    return name.rpartition("/")[2].partition(":")[2]


class BuildQuerySet(models.QuerySet["Build"]):
    """Builds."""

    def usable_by(self, person: Person) -> "BuildQuerySet":
        """Those of the person's own apps; none of a suspended organization."""
        return self.filter(deployment__owner_id=person.id, deployment__organization__suspended_at=None)

    def running(self) -> "BuildQuerySet":
        """Those that a worker has taken and not ended, whether it still lives or not."""
        return self.filter(state__in=[Build.State.BUILDING, Build.State.RELEASED], finished_at=None)

    def waiting(self) -> "BuildQuerySet":
        """Those that a worker may take; a push that is still arriving isn't one."""
        return self.filter(state=Build.State.QUEUED, finished_at=None).exclude(accepted_at=None)

    def of_tag(self, tag: str) -> "BuildQuerySet":
        """The one whose image has this tag; none for a tag that is no build's."""
        try:
            return self.filter(pk=uuid.UUID(hex=tag.removeprefix(_TAG))) if tag.startswith(_TAG) else self.none()
        except ValueError:
            return self.none()

    def deserted(self) -> "BuildQuerySet":
        """Those whose worker has not been heard of for so long that it must be gone, by the database's clock."""
        return self.running().filter(expired())


class Build(Leased):
    """One push, from its arrival to its end.

    `attempt` counts the workers that took it. Each writes only while the number is still its own, so that one
    that was cut off and comes back changes nothing.
    """

    class State(models.TextChoices):
        """queued → building → released → live; or failed, canceled, interrupted.

        Released means that Fly runs the new image. With `finished_at` it also means that the app did not
        answer at its address in time.
        """

        QUEUED = "queued"
        BUILDING = "building"
        RELEASED = "released"
        LIVE = "live"
        FAILED = "failed"
        CANCELED = "canceled"
        INTERRUPTED = "interrupted"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="builds")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="builds")
    pushed_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="builds")
    state = ChoiceField(max_length=12, choices=State, default=State.QUEUED)
    commit = models.CharField(max_length=100, blank=True)
    error = models.CharField(max_length=LONGEST_SENTENCE, blank=True)
    # The archive's name in the storage, until the build is over.
    archive = models.CharField(max_length=200, blank=True, editable=False)
    archive_bytes = models.BigIntegerField(default=0)
    # What is deployed without building, for a redeployment; else the archive is built.
    from_image = models.CharField(max_length=300, blank=True)
    image = models.CharField("image reference", max_length=300, blank=True)
    # Where the app listens inside its machine; known once the archive was looked into.
    internal_port = models.PositiveIntegerField(null=True, blank=True)
    # What a browser's bundle may see of the environment, sealed, until the build is over. All else is at Fly only.
    sealed_environment = SealedField(null=True)
    # Fly's count of changes of the app's secrets: a machine that knows an older one must not start.
    secrets_version = models.BigIntegerField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    # When the archive and the secrets were in place, so that it could be built.
    accepted_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    released_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    # How many of the attempts ended because their worker was told to stop.
    hand_overs = models.PositiveIntegerField(default=0, editable=False)
    # Characters of the log so far.
    log_length = models.PositiveIntegerField(default=0)

    objects = BuildQuerySet.as_manager()

    class Meta:
        """Newest first."""

        ordering = ("-created_at", "-pk")
        constraints = (
            models.UniqueConstraint(
                fields=["deployment"],
                condition=models.Q(state__in=["building", "released"], finished_at=None),
                name="build_one_running_per_deployment",
            ),
            # One that is released is over when it is known whether it answers.
            models.CheckConstraint(
                name="build_over_has_its_end",
                condition=models.Q(state__in=["queued", "building"], finished_at=None)
                | models.Q(state="released")
                | models.Q(state__in=["live", "failed", "canceled", "interrupted"], finished_at__isnull=False),
            ),
            models.CheckConstraint(
                name="build_running_is_heard_of",
                condition=~models.Q(state__in=["building", "released"], finished_at=None)
                | models.Q(accepted_at__isnull=False, heartbeat_at__isnull=False),
            ),
            models.CheckConstraint(
                name="build_released_at",
                condition=models.Q(~models.Q(state__in=["released", "live"]), image="")
                | models.Q(released_at__isnull=False),
            ),
            models.CheckConstraint(
                name="build_over_keeps_no_variables",
                condition=models.Q(finished_at=None) | models.Q(sealed_environment=None),
            ),
        )
        indexes = (
            models.Index(fields=["deployment", "-created_at"]),
            models.Index("deployment", *LATEST_FIRST, name="build_latest"),
            models.Index(fields=["created_at"], name="build_unfinished", condition=models.Q(finished_at=None)),
            models.Index(fields=["finished_at"], name="build_finished"),
            # When an organization's last one began, which decides whose turn it is.
            models.Index(
                fields=["organization", "-started_at"],
                name="build_last_begun",
                condition=models.Q(started_at__isnull=False),
            ),
            # What is over and has its archive still.
            models.Index(fields=["finished_at"], name="build_archive_left", condition=~models.Q(archive="")),
        )

    def __str__(self) -> str:
        return f"{self.deployment} {self.short_id}"

    @property
    def short_id(self) -> str:
        """The first eight characters of the id, for people."""
        return str(self.pk)[:8]

    @property
    def tag(self) -> str:
        """The tag that its image gets, so that Fly's machines say which build they run."""
        return f"{_TAG}{self.pk.hex}"

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens to it."""
        return self.finished_at is not None


class BuildLogChunk(models.Model):
    """A piece of a build's log, some lines long. `start` is the number of characters before it."""

    build = models.ForeignKey(Build, on_delete=models.CASCADE, related_name="log_chunks")
    start = models.PositiveIntegerField()
    text = models.TextField()

    class Meta:
        """In the order they were written."""

        ordering = ("build", "start")
        constraints = (models.UniqueConstraint(fields=["build", "start"], name="build_log_chunk_once"),)

    def __str__(self) -> str:
        return f"{self.build_id} from {self.start}"
