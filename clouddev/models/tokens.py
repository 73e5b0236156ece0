"""Tokens that live long enough to be worth revoking."""

import uuid

from django.db import models

from accounts.models import User
from clouddev.models.machines import Machine


class WebhookToken(models.Model):
    """A webhook token that was given out, by its `jti`; the token itself is kept nowhere.

    Machines verify tokens by themselves, so revoking one counts with those that ask for the list of revoked ones.
    """

    jti = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    machine = models.ForeignKey(
        Machine, verbose_name="workspace", on_delete=models.CASCADE, related_name="webhook_tokens"
    )
    made_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="webhook_tokens")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """Newest first."""

        ordering = ("-created_at", "-pk")

    def __str__(self) -> str:
        return f"{self.machine} {str(self.jti)[:8]}"

    @property
    def organization_id(self) -> uuid.UUID:
        """The machine's."""
        return self.machine.organization_id


class MachineToken(models.Model):
    """A dev-UI or MCP token, which works for a day, by its `jti`: kept so that it can end before."""

    jti = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    machine = models.ForeignKey(
        Machine, verbose_name="workspace", on_delete=models.CASCADE, related_name="machine_tokens"
    )
    user = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="machine_tokens")
    expires_at = models.DateTimeField(db_index=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """Those that end first."""

        ordering = ("expires_at", "pk")

    def __str__(self) -> str:
        return f"{self.machine} {str(self.jti)[:8]}"
