"""The keys that sign this server's tokens."""

from django.db import models

from core.fields import ChoiceField, SealedField


class SigningKey(models.Model):
    """A key of the ring: published from the start, signing from `signs_from`, gone at `ends_at`.

    The private half is sealed; the public half is a JWK as the JWKS has it (RFC 7517).
    """

    class Algorithm(models.TextChoices):
        """How it signs (RFC 7518, section 3.1; RFC 8037)."""

        RS256 = "RS256"
        EDDSA = "EdDSA"

    kid = models.CharField(max_length=64, primary_key=True, editable=False)
    algorithm = ChoiceField(max_length=10, choices=Algorithm)
    public_jwk = models.JSONField(editable=False)
    sealed_private_key = SealedField()
    created_at = models.DateTimeField()
    # None for the next key, which is only published yet.
    signs_from = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """Newest first."""

        ordering = ("-created_at", "-pk")

    def __str__(self) -> str:
        return f"{self.algorithm} {self.kid}"
