"""Connections as this server knows them, for operators. Their credentials are at Nango and never shown."""

from typing import ClassVar

from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display

from accounts.models import AccessToken
from core.admin import ChoiceFilter, OperatorAdmin
from integrations.dashboard import is_troubled
from integrations.models import Connection, CredentialUse, StrangeConnection


class AttentionFilter(ChoiceFilter):
    """What the front page counts as failing."""

    title = "attention"
    parameter_name = "attention"

    def conditions(self) -> dict[str, tuple[str, Q]]:
        """Those that need to be connected again, are gone at Nango, or should be gone and aren't."""
        return {"yes": ("Failing", is_troubled(now=timezone.now()))}


@admin.register(Connection)
class ConnectionAdmin(OperatorAdmin):
    """Connected accounts, their owners, and which of them need attention."""

    empty_list_text: ClassVar[str] = "No connection matches. People connect accounts with their tools."
    list_display = ("connection_id", "integration_id", "owner", "health", "created_at", "confirmed_at")
    list_filter = (
        AttentionFilter,
        "needs_reconnect",
        ("missing_since", admin.EmptyFieldListFilter),
        "state",
        ("integration_id", admin.AllValuesFieldListFilter),
        ("owner", AutocompleteSelectFilter),
        "created_at",
    )
    list_select_related = ("owner",)
    search_fields = (
        "connection_id",
        "integration_id",
        "owner__github_login",
        "owner__username",
        "owner__email",
        "id__exact",
    )
    search_help_text = "Connection, integration or person"
    fieldsets = (
        (None, {"fields": ("connection_id", "integration_id", "provider", "health", "id")}),
        ("Whose", {"fields": ("owner", "organization")}),
        ("What we know", {"fields": ("state", "needs_reconnect", "missing_since", "confirmed_at", "created_at")}),
        ("Being finished", {"fields": ("claimed_at", "deleting_since", "failures", "try_again_at", "deleted_at")}),
    )

    @display(  # type: ignore[untyped-decorator]  # unfold is untyped
        description="Health",
        label={
            "working": "success",
            "needs reconnect": "danger",
            "missing at Nango": "danger",
            "being made": "info",
            "being deleted": "warning",
            "not deleted yet": "danger",
        },
    )
    def health(self, connection: Connection) -> str:
        """What an operator should know first."""
        if connection.is_overdue(now=timezone.now()):
            return "not deleted yet"
        if connection.state != Connection.State.ACTIVE:
            return {"claiming": "being made", "deleting": "being deleted"}[connection.state]
        if connection.missing_since:
            return "missing at Nango"
        return "needs reconnect" if connection.needs_reconnect else "working"


@admin.register(StrangeConnection)
class StrangeConnectionAdmin(OperatorAdmin):
    """What Nango lists and nobody can use: it has to be put right in Nango's dashboard, or its database."""

    empty_list_text: ClassVar[str] = "Every connection that Nango listed last time can be used."
    list_display = ("connection_id", "integration_id", "reason", "first_seen_at", "seen_at")
    list_filter = (("integration_id", admin.AllValuesFieldListFilter), "first_seen_at")
    search_fields = ("connection_id", "integration_id")
    search_help_text = "Connection or integration"
    fieldsets = (
        (None, {"fields": ("connection_id", "integration_id", "reason")}),
        ("When", {"fields": ("first_seen_at", "seen_at")}),
    )


@admin.register(CredentialUse)
class CredentialUseAdmin(OperatorAdmin):
    """Which tool was handed which credential, counted by the hour."""

    empty_list_text: ClassVar[str] = "No use matches. A row comes within a second after a tool fetched a credential."
    list_display = ("hour", "person_label", "tool", "integration_id", "connection_id", "count", "last_at")
    list_display_links = ("hour", "person_label")
    list_filter = (("integration_id", admin.AllValuesFieldListFilter), "hour")
    search_fields = ("person_label", "connection_id", "integration_id", "person_id__exact", "token_id__exact")
    search_help_text = "Person, connection, integration, or the id of a person or token"
    fieldsets = (
        (None, {"fields": ("integration_id", "connection_id", "count")}),
        ("Who", {"fields": ("person_label", "person_id", "organization_id", "tool", "token_id")}),
        ("When", {"fields": ("hour", "first_at", "last_at")}),
    )
    actions = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[CredentialUse]:
        """With what the token's tool says of itself, as long as the token is known."""
        queryset: QuerySet[CredentialUse] = super().get_queryset(request)
        tokens = AccessToken.objects.filter(pk=OuterRef("token_id"))
        return queryset.annotate(
            client_name=Subquery(tokens.values("client_name")[:1]), hostname=Subquery(tokens.values("hostname")[:1])
        )

    @display(description="Tool")  # type: ignore[untyped-decorator]
    def tool(self, use: CredentialUse) -> str:
        """Such as "crayon CLI on build-7"."""
        name, host = getattr(use, "client_name", ""), getattr(use, "hostname", "")
        return f"{name} on {host}" if name and host else name or host or "—"
