"""Organizations and their members, for operators."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from accounts.models import Membership, Organization
from core.admin import OperatorAdmin, OperatorInline


class MembershipInline(OperatorInline):
    """Who belongs to it."""

    model = Membership
    fields = ("user", "role", "created_at")
    readonly_fields = fields
    ordering = ("created_at",)
    per_page = 50
    hide_title = True
    verbose_name_plural = "members"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        """With the people, in one query."""
        queryset: QuerySet[Membership] = super().get_queryset(request)
        return queryset.select_related("user", "organization")


@admin.register(Organization)
class OrganizationAdmin(OperatorAdmin):
    """What owns things: everybody's personal one, and shared ones."""

    empty_list_text: ClassVar[str] = "No organization matches. Everybody gets one with their first sign-in."
    list_display = ("slug", "name", "kind", "state", "member_count", "tier", "region", "created_at")
    list_filter = (("personal_for", admin.EmptyFieldListFilter), ("suspended_at", admin.EmptyFieldListFilter), "tier")
    list_select_related = ("personal_for",)
    search_fields = ("slug", "name", "id__exact")
    search_help_text = "Slug, name or id"
    ordering = ("slug",)
    fieldsets = (
        (None, {"fields": ("name", "slug", "state", "personal_for", "id")}),
        ("Plan", {"fields": ("tier", "region", "created_at", "suspended_at")}),
    )
    inlines = (MembershipInline,)

    @display(description="Kind")  # type: ignore[untyped-decorator]  # unfold is untyped
    def kind(self, organization: Organization) -> str:
        """Personal or shared."""
        return "personal" if organization.personal_for_id else "shared"

    @display(  # type: ignore[untyped-decorator]
        description="State", ordering="suspended_at", label={"active": "success", "suspended": "danger"}
    )
    def state(self, organization: Organization) -> str:
        """Active or suspended."""
        return "suspended" if organization.suspended_at else "active"

    @display(description="Members", ordering="member_count")  # type: ignore[untyped-decorator]
    def member_count(self, organization: Any) -> int:
        """How many people belong to it."""
        return int(organization.member_count)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Organization]:
        """With the number of members."""
        queryset: QuerySet[Organization] = super().get_queryset(request)
        return queryset.annotate(member_count=Count("memberships"))
