"""What this server has at Fly, and what was found to differ there, for operators: to be read only."""

from typing import ClassVar

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from unfold.decorators import display

from core.admin import OperatorAdmin
from fly.models import Discrepancy, FlyApp

# What an app at Fly may be for, and what people call that: whatever points at its row one to one, a deployment or a
# workspace.
_USERS = {
    relation.name: relation.related_model._meta.verbose_name  # noqa: SLF001 - Django's documented interface
    for relation in FlyApp._meta.related_objects  # noqa: SLF001 - the same
    if relation.one_to_one
}


@admin.register(FlyApp)
class FlyAppAdmin(OperatorAdmin):
    """The apps that were made at Fly, or are to be; those that are gone stay listed."""

    empty_list_text: ClassVar[str] = "No app at Fly matches. One is made when somebody prepares an app."
    list_display = ("name", "badge", "used_for", "created_at", "ready_at", "gone_at")
    list_filter = ("state", "created_at", "gone_at")
    list_select_related = tuple(_USERS)
    search_fields = ("name", *(f"{name}__app_name" for name in _USERS))
    search_help_text = "Name at Fly or app"
    fieldsets = (
        (None, {"fields": ("name", "badge", "refusal", "used_for", "network")}),
        ("Times", {"fields": ("created_at", "ready_at", "gone_at")}),
    )
    actions = ()

    @display(  # type: ignore[untyped-decorator]  # unfold is untyped
        description="State",
        ordering="state",
        label={"intended": "info", "ready": "success", "deleting": "warning"},
    )
    def badge(self, fly_app: FlyApp) -> str:
        """Intended, ready, deleting or gone."""
        return str(fly_app.state)

    @display(description="Of")  # type: ignore[untyped-decorator]
    def used_for(self, fly_app: FlyApp) -> str:
        """What it is for."""
        users = ((name, getattr(fly_app, name, None)) for name in _USERS)
        return "".join(f"{_USERS[name]} {user}" for name, user in users if user is not None) or "—"


@admin.register(Discrepancy)
class DiscrepancyAdmin(OperatorAdmin):
    """What the last comparison with Fly found. A row goes when the next one finds it no more."""

    empty_list_text: ClassVar[str] = "Nothing differs: Fly has what we know of, and we know of what Fly has."
    list_display = ("fly_name", "what", "used_for", "sentence", "first_seen_at", "last_seen_at")
    list_filter = ("kind", "first_seen_at")
    search_fields = ("fly_name", "sentence")
    search_help_text = "Name at Fly"
    fieldsets = ((None, {"fields": ("fly_name", "what", "used_for", "sentence", "first_seen_at", "last_seen_at")}),)
    actions = ()

    @display(  # type: ignore[untyped-decorator]
        description="What",
        ordering="kind",
        label={
            "at Fly only": "warning",
            "gone at Fly": "danger",
            "ours, and used by nothing": "info",
            "more machines than one": "warning",
            "in our app, and unknown": "warning",
            "live without a machine": "danger",
            "another version than released": "danger",
        },
    )
    def what(self, discrepancy: Discrepancy) -> str:
        """Which side has what the other one lacks."""
        return discrepancy.get_kind_display()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Discrepancy]:
        """With the names of what the apps are for."""
        queryset: QuerySet[Discrepancy] = super().get_queryset(request)
        own = FlyApp.objects.filter(pk=OuterRef("fly_name"))
        names = {f"{user}_name": Subquery(own.values(f"{user}__app_name")[:1]) for user in _USERS}
        return queryset.annotate(**names)

    @display(description="Of")  # type: ignore[untyped-decorator]
    def used_for(self, discrepancy: Discrepancy) -> str:
        """The deployment or the machine that the app is for; nothing for a stranger's."""
        names = ((user, getattr(discrepancy, f"{user}_name", None)) for user in _USERS)
        return "".join(f"{_USERS[user]} {name}" for user, name in names if name) or "—"
