"""Logins whose tokens others verify: what a `sid` in a token names."""

import uuid

from django.conf import settings
from django.db import models

from accounts.models.organizations import Organization
from accounts.models.tokens import Client
from accounts.models.users import User


class LoginQuerySet(models.QuerySet["Login"]):
    """Logins."""

    def of(self, user: User) -> "LoginQuerySet":
        """The user's own."""
        return self.filter(user=user)

    def alive(self) -> "LoginQuerySet":
        """Those that nobody has ended."""
        return self.filter(revoked_at=None)


class Login(Client):
    """A person signed in somewhere, in one organization. Its id is the `sid` of its tokens, which end with it.

    One that a browser asked tokens for belongs to that browser's session, and ends with the session.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="logins")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="logins")
    browser = models.ForeignKey(
        "usersessions.UserSession", null=True, blank=True, on_delete=models.CASCADE, related_name="logins"
    )
    client = models.ForeignKey(
        settings.OAUTH2_PROVIDER_APPLICATION_MODEL,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="logins",
    )
    # What its tokens may, and whom they are for; None where nothing narrows them.
    scope = models.TextField(null=True, blank=True)  # noqa: DJ001 - an empty one is narrowed to nothing
    resource = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    # Whatever happens, it is over then.
    ends_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_for = models.CharField(max_length=60, blank=True)

    objects = LoginQuerySet.as_manager()

    class Meta:
        """Newest first; both ways of ending are indexed for pruning."""

        ordering = ("-created_at", "-pk")
        constraints = (
            models.UniqueConstraint(fields=["browser", "organization"], name="login_once_per_browser_and_organization"),
        )
        indexes = (
            models.Index(fields=["ends_at"], name="login_ends_at"),
            models.Index(fields=["revoked_at"], name="login_revoked", condition=models.Q(revoked_at__isnull=False)),
        )

    def __str__(self) -> str:
        return self.label

    @property
    def scopes(self) -> list[str] | None:
        """The scopes, in the order in which they were asked for."""
        return None if self.scope is None else self.scope.split()
