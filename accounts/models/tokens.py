"""Access tokens and the CLI logins that yield them."""

import uuid
from datetime import datetime

from django.conf import settings
from django.db import models

from accounts.models.organizations import Organization
from accounts.models.users import User
from core.fields import ChoiceField, SealedField


class Client(models.Model):
    """What a command-line tool says of itself, and where it called from."""

    client_name = models.CharField(max_length=100, blank=True)
    hostname = models.CharField(max_length=255, blank=True)
    address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)

    class Meta:
        """Shared columns only."""

        abstract = True

    @property
    def label(self) -> str:
        """A short name for lists: "crayon CLI on build-7"."""
        name = self.client_name or "Command-line tool"
        return f"{name} on {self.hostname}" if self.hostname else name


class AccessTokenQuerySet(models.QuerySet["AccessToken"]):
    """Access tokens."""

    def working(self, *, now: datetime) -> "AccessTokenQuerySet":
        """Those that are neither revoked nor expired."""
        return self.filter(revoked_at=None, expires_at__gt=now)

    def of(self, user: User) -> "AccessTokenQuerySet":
        """The user's own."""
        return self.filter(user=user)


class AccessToken(Client):
    """A bearer token of a person's tool: only its digest is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="access_tokens")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="access_tokens")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = AccessTokenQuerySet.as_manager()

    class Meta:
        """Newest first; both ways of ending are indexed for pruning."""

        ordering = ("-created_at", "-pk")
        indexes = (
            models.Index(fields=["expires_at"]),
            models.Index(
                fields=["revoked_at"], name="access_token_revoked", condition=models.Q(revoked_at__isnull=False)
            ),
        )

    def __str__(self) -> str:
        return self.label


class CLILogin(Client):
    """The pending code and secret that a tool polls until a person decides in a browser.

    A device's (RFC 8628) has a client, a code of consonants, and its device code as secret: what it yields are the
    tokens of the authorization server.

    The secret is kept as a digest. The token is made at pick-up and kept, sealed with a key that only
    the CLI's secret yields, until the login is over, so that a lost answer can be asked for again.
    """

    class State(models.TextChoices):
        """pending → approved → collected, or pending → denied. Expiry is a matter of `expires_at`."""

        PENDING = "pending"
        APPROVED = "approved"
        COLLECTED = "collected"
        DENIED = "denied"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    code = models.CharField(max_length=8, unique=True, editable=False)
    secret_digest = models.BinaryField(max_length=32, editable=False)
    state = ChoiceField(max_length=10, choices=State, default=State.PENDING)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.CASCADE, related_name="cli_logins")
    denial_told_at = models.DateTimeField(null=True, editable=False)
    token = models.ForeignKey(AccessToken, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    # What only the tool can show the beginning of (RFC 7636), where it sent one.
    code_challenge = models.CharField(max_length=128, blank=True, db_default="", editable=False)
    # Of a device login (RFC 8628): whose tokens it yields, for what, in which organization. None for `crayon login`.
    client = models.ForeignKey(
        settings.OAUTH2_PROVIDER_APPLICATION_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    scope = models.TextField(blank=True, db_default="")
    resource = models.JSONField(null=True, blank=True)
    organization = models.ForeignKey(Organization, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    # The epoch of the person's access in which they approved.
    access_epoch = models.BigIntegerField(default=0, db_default=0, editable=False)
    interval = models.PositiveSmallIntegerField(default=5, db_default=5, editable=False)
    polled_at = models.DateTimeField(null=True, editable=False)
    sealed_token = SealedField(null=True, has_key_elsewhere=True)

    class Meta:
        """Newest first; expiry is indexed for pruning."""

        verbose_name = "CLI login"
        ordering = ("-created_at", "-pk")
        indexes = (
            models.Index(fields=["expires_at"]),
            models.Index(
                fields=["secret_digest"], name="cli_login_of_device", condition=models.Q(client__isnull=False)
            ),
            models.Index(
                fields=["expires_at"], name="cli_login_sealed", condition=models.Q(sealed_token__isnull=False)
            ),
        )
        constraints = (
            models.CheckConstraint(
                name="cli_login_decided_by_somebody",
                condition=models.Q(state="pending", decided_at=None, decided_by=None)
                | models.Q(~models.Q(state="pending"), decided_at__isnull=False, decided_by__isnull=False),
            ),
            models.CheckConstraint(
                name="cli_login_token_at_pick_up",
                condition=models.Q(state="collected") | models.Q(token=None, sealed_token=None),
            ),
        )

    def __str__(self) -> str:
        return self.label

    @property
    def shown_code(self) -> str:
        """The code as the tool shows it."""
        return f"{self.code[:4]}-{self.code[4:]}" if self.client_id else self.code

    @property
    def user(self) -> User | None:
        """Who has decided."""
        return self.decided_by

    @property
    def scopes(self) -> list[str]:
        """What a device asks for."""
        return self.scope.split()
