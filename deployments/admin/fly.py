"""What this server has at Fly, and what was found to differ there, for operators: to be read only."""

from typing import ClassVar

from django.contrib import admin
from unfold.decorators import display

from config.core.admin import OperatorAdmin
from deployments.models import Discrepancy, FlyApp


@admin.register(FlyApp)
class FlyAppAdmin(OperatorAdmin):
    """The apps that were made at Fly, or are to be; those that are gone stay listed."""

    empty_list_text: ClassVar[str] = "No app at Fly matches. One is made when somebody prepares an app."
    list_display = ("name", "standing", "whose", "created_at", "ready_at", "gone_at")
    list_filter = ("state", "created_at", "gone_at")
    list_select_related = ("deployment",)
    search_fields = ("name", "deployment__app_name")
    search_help_text = "Name at Fly or app"
    fieldsets = (
        (None, {"fields": ("name", "standing", "whose", "network")}),
        ("Times", {"fields": ("created_at", "ready_at", "gone_at")}),
    )
    actions = ()

    @display(  # type: ignore[untyped-decorator]  # unfold is untyped
        description="State",
        ordering="state",
        label={"intended": "info", "ready": "success", "deleting": "warning"},
    )
    def standing(self, fly_app: FlyApp) -> str:
        """Intended, ready, deleting or gone."""
        return str(fly_app.state)

    @display(description="Of", ordering="deployment__app_name")  # type: ignore[untyped-decorator]
    def whose(self, fly_app: FlyApp) -> str:
        """The deployment it is for."""
        deployment = getattr(fly_app, "deployment", None)
        return str(deployment) if deployment else "—"


@admin.register(Discrepancy)
class DiscrepancyAdmin(OperatorAdmin):
    """What the last comparison with Fly found. A row goes when the next one finds it no more."""

    empty_list_text: ClassVar[str] = "Nothing differs: Fly has what we know of, and we know of what Fly has."
    list_display = ("fly_name", "what", "sentence", "first_seen_at", "last_seen_at")
    list_filter = ("kind", "first_seen_at")
    search_fields = ("fly_name", "sentence")
    search_help_text = "Name at Fly"
    fieldsets = ((None, {"fields": ("fly_name", "what", "sentence", "first_seen_at", "last_seen_at")}),)
    actions = ()

    @display(  # type: ignore[untyped-decorator]
        description="What",
        ordering="kind",
        label={"at Fly only": "warning", "gone at Fly": "danger", "ours, and used by nothing": "info"},
    )
    def what(self, discrepancy: Discrepancy) -> str:
        """Which side lacks it."""
        return discrepancy.get_kind_display()
