"""API keys: of people, and of the workers of an organization."""

import uuid
from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.key_format import SHOWN
from accounts.models.organizations import Organization
from accounts.models.users import User
from core.fields import ChoiceField

LONGEST_NAME = 100
# An IPv6 network with its longest spelling.
_LONGEST_NETWORK = 43


class APIKeyQuerySet(models.QuerySet["APIKey"]):
    """API keys."""

    def working(self, *, now: datetime) -> "APIKeyQuerySet":
        """Those that are neither revoked nor expired."""
        return self.filter(models.Q(expires_at=None) | models.Q(expires_at__gt=now), revoked_at=None)

    def of(self, user_id: uuid.UUID) -> "APIKeyQuerySet":
        """The person's own."""
        return self.filter(user_id=user_id)

    def of_workers(self) -> "APIKeyQuerySet":
        """Those of organizations, which act for no person."""
        return self.filter(kind=APIKey.Kind.WORKER)


class APIKey(models.Model):
    """A key that lies in a file or a secret store: only its digest is kept, and its beginning to be told by.

    A personal one acts as its person in one organization, narrowed to `scopes` unless that is None; a worker's acts for
    its organization. Where `networks` has any, it is good from there alone. One that `replaces` another came from its
    rotation: the other one goes on for a day at most.
    """

    class Kind(models.TextChoices):
        """Whom the key acts for."""

        PERSONAL = "personal"
        WORKER = "worker"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = ChoiceField(max_length=10, choices=Kind)
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    start = models.CharField("begins with", max_length=SHOWN)
    name = models.CharField(max_length=LONGEST_NAME)
    user = models.ForeignKey(User, null=True, blank=True, on_delete=models.CASCADE, related_name="api_keys")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="api_keys")
    made_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    scopes = ArrayField(models.CharField(max_length=40), null=True, blank=True)
    networks = ArrayField(models.CharField(max_length=_LONGEST_NETWORK), default=list, blank=True)
    replaces = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="replaced_by", editable=False
    )
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_used_address = models.GenericIPAddressField("last used from", null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = APIKeyQuerySet.as_manager()

    class Meta:
        """Newest first; both ways of ending are indexed for pruning."""

        ordering = ("-created_at", "-pk")
        verbose_name = "API key"
        constraints = (
            models.CheckConstraint(
                name="api_key_of_a_person_or_a_worker",
                condition=models.Q(kind="personal", user__isnull=False, expires_at__isnull=False)
                | models.Q(kind="worker", user=None, scopes__isnull=False),
            ),
        )
        indexes = (
            models.Index(fields=["expires_at"], name="api_key_expires", condition=models.Q(expires_at__isnull=False)),
            models.Index(fields=["revoked_at"], name="api_key_revoked", condition=models.Q(revoked_at__isnull=False)),
        )

    def __str__(self) -> str:
        return self.name

    def state(self, *, now: datetime) -> str:
        """One word: working, revoked or expired."""
        if self.revoked_at is not None:
            return "revoked"
        return "working" if self.expires_at is None or self.expires_at > now else "expired"
