"""Deployments: one app of one owner."""

import uuid

from django.db import models
from django.db.models.functions import Lower

from accounts.models import Organization, User
from accounts.models.users import Person
from core.fields import ChoiceField
from fly.models import FlyApp, url_of
from fly.names import LONGEST_APP_NAME


class DeploymentQuerySet(models.QuerySet["Deployment"]):
    """Deployments."""

    def of(self, person: Person) -> "DeploymentQuerySet":
        """The person's own."""
        return self.filter(owner_id=person.id)

    def usable_by(self, person: Person) -> "DeploymentQuerySet":
        """Those that the person may use: their own, and none of a suspended organization."""
        return self.of(person).filter(organization__suspended_at=None)


class Deployment(models.Model):
    """An app that its owner pushes code to. Each push is a Build."""

    class State(models.TextChoices):
        """preparing → ready → destroying. A row that is destroyed is deleted."""

        PREPARING = "preparing"
        READY = "ready"
        DESTROYING = "destroying"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # A person goes after their apps, so that nothing of theirs is left running at Fly.
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="deployments")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="deployments")
    # What its owner calls it, as `names.app_label` leaves it; matched without regard to case.
    app_name = models.CharField(max_length=LONGEST_APP_NAME)
    fly_app = models.OneToOneField(FlyApp, on_delete=models.PROTECT, related_name="deployment")
    state = ChoiceField(max_length=10, choices=State, default=State.PREPARING)
    # Whether a push has set CRAYON_SERVER_URL, so that the app is not told ours.
    has_own_server_url = models.BooleanField(default=False, db_default=False, editable=False)
    # How Fly's list of machines had the app's machine when it was last read: its own word, or GONE for none.
    machine_state = models.CharField(max_length=30, blank=True, default="", db_default="", editable=False)
    machine_state_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField()

    objects = DeploymentQuerySet.as_manager()

    class Meta:
        """By name."""

        ordering = ("app_name", "pk")
        constraints = (
            models.UniqueConstraint("owner", Lower("app_name"), name="deployment_called_once_per_owner"),
            # What its builds refer to: their organization is its own.
            models.UniqueConstraint(fields=["id", "organization"], name="deployment_of_organization"),
        )
        indexes = (
            models.Index(fields=["created_at"], name="deployment_unfinished", condition=~models.Q(state="ready")),
        )

    def __str__(self) -> str:
        return self.app_name

    @property
    def url(self) -> str:
        """Where the app answers."""
        return url_of(self.fly_app_id)
