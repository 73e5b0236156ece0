"""What the authorization server keeps: clients, codes on their way to a token, refresh tokens, consents.

Of what is given out only digests are kept (SHA-256 of random 256 bits).
"""

import uuid
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from oauth2_provider.models import AbstractApplication

from accounts.models.logins import Login
from accounts.models.organizations import Organization
from accounts.models.users import User

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
GRANT_TYPES = ("authorization_code", "refresh_token", DEVICE_CODE)
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
_LONGEST_URI = 500
_MOST_URIS = 20


def _usual_grants() -> list[str]:
    return ["authorization_code", "refresh_token"]


def is_acceptable_redirect(uri: str) -> bool:
    """Whether a client may have people sent there: https, http to its own machine, or an app's scheme that we know.

    RFC 8252, section 7; a scheme that nobody listed may be one that runs a script.
    """
    try:
        parts = urlsplit(uri)
        host = parts.hostname or ""
    except ValueError:
        return False
    if len(uri) > _LONGEST_URI or "#" in uri or "@" in parts.netloc or not uri.isprintable() or " " in uri:
        return False
    if parts.scheme == "http":
        return host in LOOPBACK_HOSTS
    return (parts.scheme == "https" and bool(host)) or parts.scheme in settings.OAUTH_APP_SCHEMES


class OAuthClient(AbstractApplication):  # type: ignore[misc]  # the toolkit is untyped
    """A program that people sign in to with this server (RFC 6749, section 2), as the toolkit has it and a bit more."""

    redirect_uris: str  # separated by spaces, as the toolkit has them
    user = None  # clients are nobody's: Django's documented way to drop a field
    grant_types = models.JSONField(default=_usual_grants)
    # One of this server's own makers' tools, or one that an operator has looked at.
    is_verified = models.BooleanField("verified", default=False)
    client_uri = models.CharField(max_length=500, blank=True)
    disabled_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    # Of the token with which a client that registered itself manages itself (RFC 7592).
    registration_digest = models.BinaryField(max_length=32, null=True, unique=True, editable=False)
    created_by_address = models.GenericIPAddressField(null=True, blank=True)

    class Meta(AbstractApplication.Meta):  # type: ignore[misc]
        """Newest first."""

        verbose_name = "client"
        ordering = ("-created", "-pk")
        indexes = (
            models.Index(
                fields=["created"], name="oauth_client_never_used", condition=models.Q(last_used_at__isnull=True)
            ),
        )

    def clean(self) -> None:
        """Keep of the redirect addresses those that are acceptable; at least one has to be.

        So a client that lists a scheme nobody knows here, beside a usable one, may still register.
        """
        wanted = list(dict.fromkeys(self.redirect_uris.split()))
        kept = [uri for uri in wanted if is_acceptable_redirect(uri)][:_MOST_URIS]
        self.redirect_uris = " ".join(kept)
        if "authorization_code" in self.grant_types and not kept:
            raise ValidationError({"redirect_uris": "None of the redirect addresses can be used here."})
        super().clean()

    def allows_grant_type(self, *grant_types: str) -> bool:
        """Whether it may use one of these, in the toolkit's spelling."""
        return any(g.replace("authorization-code", "authorization_code") in self.grant_types for g in grant_types)

    def is_usable(self, request: Any) -> bool:  # noqa: ARG002 - the toolkit's signature
        """Whether nobody has switched it off."""
        return self.disabled_at is None

    @property
    def is_public(self) -> bool:
        """Whether it keeps no secret."""
        return bool(self.client_type == AbstractApplication.CLIENT_PUBLIC)

    @property
    def display_name(self) -> str:
        """What it calls itself."""
        return str(self.name or "An application")


class AuthorizationCode(models.Model):
    """A code that a person's browser carries to a client (RFC 6749, section 4.1.2). The row outlives its use.

    A second use of the code ends the login that the first one began.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    client = models.ForeignKey(settings.OAUTH2_PROVIDER_APPLICATION_MODEL, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+")
    login = models.ForeignKey(Login, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    redirect_uri = models.TextField()
    scope = models.TextField(blank=True)
    resource = models.JSONField(default=list)
    code_challenge = models.CharField(max_length=128)
    nonce = models.CharField(max_length=255, blank=True)
    access_epoch = models.BigIntegerField()
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    redeemed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """Newest first; expiry is indexed for pruning."""

        ordering = ("-created_at", "-pk")
        indexes = (models.Index(fields=["expires_at"], name="authorization_code_expires"),)

    def __str__(self) -> str:
        return f"code {self.pk}"


class RefreshToken(models.Model):
    """A token for new access tokens. Each has one successor; presented again later than that, it ends the login."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    login = models.ForeignKey(Login, on_delete=models.CASCADE, related_name="refresh_tokens")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    rotated_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """Newest first; expiry is indexed for pruning."""

        ordering = ("-created_at", "-pk")
        indexes = (models.Index(fields=["expires_at"], name="refresh_token_expires"),)

    def __str__(self) -> str:
        return f"refresh token {self.pk}"


class Consent(models.Model):
    """What a person has let a client do, in one organization. Ending the client's logins takes it back."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="consents")
    client = models.ForeignKey(settings.OAUTH2_PROVIDER_APPLICATION_MODEL, on_delete=models.CASCADE, related_name="+")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+")
    scope = models.TextField(blank=True)
    resource = models.JSONField(default=list)
    given_at = models.DateTimeField()

    class Meta:
        """One for each person, client and organization."""

        ordering = ("-given_at", "-pk")
        constraints = (models.UniqueConstraint(fields=["user", "client", "organization"], name="consent_once"),)

    def __str__(self) -> str:
        return f"{self.user} lets {self.client} in"
