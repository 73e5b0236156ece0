"""Organizations and who belongs to them."""

import uuid

from django.core.validators import RegexValidator
from django.db import models

from accounts.models.users import User

SLUG = RegexValidator(r"\A[a-z0-9]+(-[a-z0-9]+)*\Z", "A slug is lower-case letters and digits, with single hyphens.")


class Organization(models.Model):
    """What owns things. Everybody has a personal one from their first sign-in."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=255)
    slug = models.CharField(max_length=100, unique=True, validators=[SLUG])
    tier = models.CharField(max_length=50, default="FREE")
    region = models.CharField(max_length=50, blank=True)
    suspended_at = models.DateTimeField(null=True, blank=True)
    personal_for = models.OneToOneField(
        User, null=True, blank=True, on_delete=models.CASCADE, related_name="personal_organization"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    members = models.ManyToManyField(User, through="Membership", related_name="organizations")

    class Meta:
        """By slug."""

        ordering = ("slug",)

    def __str__(self) -> str:
        return self.slug


class Membership(models.Model):
    """A person's role in an organization."""

    class Role(models.TextChoices):
        """What a member may do, most first."""

        OWNER = "owner"
        ADMIN = "admin"
        MEMBER = "member"

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role, default=Role.MEMBER)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """One role for each person and organization."""

        constraints = (
            models.UniqueConstraint(fields=["organization", "user"], name="membership_once_per_organization"),
        )

    def __str__(self) -> str:
        return f"{self.user} in {self.organization} ({self.role})"
