"""API keys of people and workers, for operators. A digest is never shown, and the key itself is not kept."""

from typing import ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display
from unfold.enums import ActionVariant

from accounts.models import APIKey, User
from accounts.services import operators
from accounts.services.operator_power import has_power, members_of
from core.admin import ChoiceFilter, OperatorAdmin
from core.admin_actions import AdminAction, bulk_action, row_action


def _named(key: APIKey) -> str:
    owner = key.user.get_short_name() if key.user else key.organization.slug
    return f"“{key.name}” ({key.start}…), {owner}'s"


_REVOKE = AdminAction(
    title="Revoke",
    required_action="admin.revoke-key",
    icon="key_off",
    variant=ActionVariant.DANGER,
    is_grave=True,
    question="Revoke the API key {}?",
    named=_named,
    explanation="Whatever uses it is refused with its next request. This can't be undone.",
    explanation_of_many="Whatever uses them is refused with its next request. This can't be undone.",
    do=lambda key, by: operators.revoke_key(key=key, by=by, now=timezone.now()),
    done="{} is revoked.",
    not_done="{} was revoked before.",
)


class KeyStateFilter(ChoiceFilter):
    """Working, revoked or expired."""

    title = "state"
    parameter_name = "state"

    def conditions(self) -> dict[str, tuple[str, Q]]:
        """The states, as of now."""
        now = timezone.now()
        return {
            "working": ("Working", Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=now))),
            "revoked": ("Revoked", Q(revoked_at__isnull=False)),
            "expired": ("Expired", Q(revoked_at=None, expires_at__lte=now)),
        }


@admin.register(APIKey)
class APIKeyAdmin(OperatorAdmin):
    """The keys with which tools and workers come, and those that are over."""

    empty_list_text: ClassVar[str] = "No API key matches. People make theirs on their page of API keys."
    list_display = ("name", "start", "kind", "user", "organization", "badge", "created_at", "last_used_at")
    list_filter = (KeyStateFilter, "kind", ("user", AutocompleteSelectFilter), "created_at", "last_used_at")
    list_select_related = ("user", "organization")
    search_fields = (
        "name",
        "start__startswith",
        "user__github_login",
        "user__email",
        "organization__slug",
        "id__exact",
    )
    search_help_text = "Name, beginning, person, organization or id"
    fieldsets = (
        (None, {"fields": ("name", "start", "kind", "badge", "user", "organization", "made_by", "id")}),
        ("What it may", {"fields": ("allowed", "networks")}),
        (
            "Times",
            {"fields": ("created_at", "last_used_at", "last_used_address", "expires_at", "revoked_at", "replaces")},
        ),
    )
    actions = ("revoke_selected",)
    actions_detail = ("revoke_one",)
    revoke_one, revoke_selected = row_action(_REVOKE), bulk_action(_REVOKE)

    @display(  # type: ignore[untyped-decorator]  # unfold is untyped
        description="State", label={"working": "success", "revoked": "danger", "expired": "warning"}
    )
    def badge(self, key: APIKey) -> str:
        """Working, revoked or expired."""
        return key.state(now=timezone.now())

    @display(description="Scopes")  # type: ignore[untyped-decorator]
    def allowed(self, key: APIKey) -> str:
        """What the key is narrowed to."""
        if key.scopes is None:
            return "all that its person may"
        return ", ".join(key.scopes) or "nothing at this server's own routes"

    def get_queryset(self, request: HttpRequest) -> QuerySet[APIKey]:
        """All keys, without what must not be shown."""
        queryset: QuerySet[APIKey] = super().get_queryset(request)
        return queryset.defer("digest")

    def sensible_actions(self, row: APIKey, by: User) -> dict[str, bool]:
        """Revoking, as long as it isn't revoked."""
        over = [row.user_id] if row.user_id else members_of(row.organization)
        return {"revoke_one": row.revoked_at is None and has_power(by=by, over=over)}
