"""The audit trail, for operators: it can be read and searched, and nothing else."""

from functools import cache
from typing import ClassVar

from django.apps import apps
from django.contrib import admin
from django.utils.text import capfirst
from unfold.decorators import display

from accounts.models import AuditEvent
from core.admin import OperatorAdmin


@admin.register(AuditEvent)
class AuditEventAdmin(OperatorAdmin):
    """Who did what to what, from where, when. The database refuses changes, too."""

    empty_list_text: ClassVar[str] = "Nothing matches. Every sign-up, approval, suspension and revocation leaves a row."
    list_display = ("at", "action", "actor", "target", "address")
    list_display_links = ("at", "action")
    list_filter = (("action", admin.AllValuesFieldListFilter), "target_type", "at")
    date_hierarchy = "at"
    search_fields = (
        "actor_label",
        "target_label",
        "action",
        "actor_id__exact",
        "target_id__exact",
        "organization_id__exact",
        "request_id__exact",
        "address__startswith",
    )
    search_help_text = "Who, what, an id, an address or a request id"
    fieldsets = (
        (None, {"fields": ("at", "action", "details", "policies")}),
        ("By", {"fields": ("actor", "actor_id", "address", "request_id")}),
        ("To", {"fields": ("target_label", "target_type", "target_id", "organization_id")}),
    )
    actions = ()

    @display(description="By", ordering="actor_label")  # type: ignore[untyped-decorator]  # unfold is untyped
    def actor(self, event: AuditEvent) -> str:
        """Who did it; nobody is named when nobody was signed in, or a command did it."""
        return event.actor_label or "—"

    @display(description="To", ordering="target_label")  # type: ignore[untyped-decorator]
    def target(self, event: AuditEvent) -> str:
        """What it was done to."""
        label, kinds = event.target_label or event.target_id, _kinds()
        return f"{kinds.get(event.target_type, event.target_type)}: {label}" if event.target_type else label or "—"


@cache
def _kinds() -> dict[str, str]:
    """What people call the tables that rows of the trail are about: a Machine is a workspace."""
    return {model.__name__: capfirst(str(model._meta.verbose_name)) for model in apps.get_models()}  # noqa: SLF001
