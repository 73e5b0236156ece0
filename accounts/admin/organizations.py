"""Organizations and their members, for operators."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.decorators import display
from unfold.enums import ActionVariant

from accounts.models import Membership, Organization, User
from accounts.services import operators
from accounts.services.operator_power import has_power, members_of
from core.admin import OperatorAdmin, OperatorInline
from core.admin_actions import AdminAction, bulk_action, row_action

_SUSPEND = AdminAction(
    title="Suspend",
    required_action="admin.suspend-organization",
    icon="block",
    variant=ActionVariant.DANGER,
    is_grave=True,
    question="Suspend {}?",
    named=lambda organization: f"{organization.name} ({organization.slug})",
    explanation="Its tokens are refused and what is in it is closed to its members until it is restored.",
    explanation_of_many="Their tokens are refused and what is in them is closed to members until they are restored.",
    do=lambda organization, by: operators.suspend_organization(organization=organization, by=by, now=timezone.now()),
    done="{} is suspended.",
    not_done="{} was suspended before.",
)
_RESTORE = AdminAction(
    title="Restore",
    required_action="admin.restore-organization",
    icon="undo",
    variant=ActionVariant.SUCCESS,
    question="Restore {}?",
    named=lambda organization: f"{organization.name} ({organization.slug})",
    explanation="Its tokens work again, and what is in it is open to its members.",
    do=lambda organization, by: operators.restore_organization(organization=organization, by=by),
    done="{} is restored.",
    not_done="{} was not suspended.",
)


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
    search_fields = ("slug", "name", "id__exact")
    search_help_text = "Slug, name or id"
    ordering = ("slug",)
    fieldsets = (
        (None, {"fields": ("name", "slug", "state", "personal_for", "id")}),
        ("Plan", {"fields": ("tier", "region", "made_by", "created_at", "suspended_at")}),
    )
    inlines = (MembershipInline,)
    actions = ("suspend_selected", "restore_selected")
    actions_detail = ("suspend_one", "restore_one")
    suspend_one, suspend_selected = row_action(_SUSPEND), bulk_action(_SUSPEND)
    restore_one, restore_selected = row_action(_RESTORE), bulk_action(_RESTORE)

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
        """With the people it names and the number of members."""
        queryset: QuerySet[Organization] = super().get_queryset(request).select_related("personal_for", "made_by")
        return queryset.annotate(member_count=Count("memberships"))

    def sensible_actions(self, row: Organization, by: User) -> dict[str, bool]:
        """The one of the two that makes sense."""
        if not has_power(by=by, over=members_of(row)):
            return {}
        return {"suspend_one": row.suspended_at is None, "restore_one": row.suspended_at is not None}
