"""The audit trail: who did what to what, from where, when."""

from django.db import models


class AuditEvent(models.Model):
    """One thing that was done. Rows are only ever added: a trigger in the database refuses the rest.

    Actor and target are ids and labels rather than foreign keys, so that a row outlives both.
    """

    at = models.DateTimeField()
    action = models.CharField(max_length=60, db_index=True)
    actor_id = models.UUIDField(null=True, blank=True, db_index=True)
    actor_label = models.CharField(max_length=255, blank=True)
    organization_id = models.UUIDField(null=True, blank=True)
    target_type = models.CharField(max_length=60, blank=True)
    target_id = models.CharField(max_length=300, blank=True, db_index=True)
    target_label = models.CharField(max_length=300, blank=True)
    address = models.GenericIPAddressField(null=True, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    details = models.JSONField(default=dict, blank=True)
    # The ids of the policies that allowed it, with commas; "" for what no request asked for.
    policies = models.CharField(max_length=300, blank=True, default="", db_default="")

    class Meta:
        """Newest first."""

        ordering = ("-at", "-id")
        indexes = (
            models.Index(fields=["-at", "-id"]),
            models.Index(fields=["organization_id", "-at", "-id"], name="audit_of_organization"),
        )

    def __str__(self) -> str:
        return f"{self.actor_label or 'somebody'}: {self.action}"
