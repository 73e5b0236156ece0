"""Invitations, for operators: to be read only, without their links."""

from typing import ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display

from accounts.models import Invitation
from core.admin import ChoiceFilter, OperatorAdmin

State = Invitation.State


class OutcomeFilter(ChoiceFilter):
    """What became of it."""

    title = "outcome"
    parameter_name = "outcome"

    def conditions(self) -> dict[str, tuple[str, Q]]:
        """The outcomes, as of now."""
        waits, now = Q(state=State.WAITING), timezone.now()
        decided = {str(state): (state.label, Q(state=state)) for state in State if state != State.WAITING}
        return {
            "waiting": ("Waiting", waits & Q(expires_at__gt=now)),
            **decided,
            "expired": ("Expired", waits & Q(expires_at__lte=now)),
        }


@admin.register(Invitation)
class InvitationAdmin(OperatorAdmin):
    """Who was invited to which organization, by whom, and what became of it."""

    empty_list_text: ClassVar[str] = "No invitation matches. They are kept for a month after their end."
    list_display = ("email", "organization", "role", "outcome", "made_by", "created_at", "decided_at")
    list_filter = (OutcomeFilter, "role", ("made_by", AutocompleteSelectFilter), "created_at")
    list_select_related = ("organization", "made_by")
    search_fields = ("email", "organization__slug", "made_by__github_login", "made_by__email", "id__exact")
    search_help_text = "Address, organization, who invited, or id"
    fieldsets = (
        (None, {"fields": ("email", "organization", "role", "outcome", "id")}),
        ("By", {"fields": ("made_by", "decided_by")}),
        ("Times", {"fields": ("created_at", "expires_at", "decided_at")}),
    )

    @display(  # type: ignore[untyped-decorator]  # unfold is untyped
        description="Outcome",
        ordering="state",
        label={"accepted": "success", "waiting": "info", "declined": "danger", "withdrawn": "warning"},
    )
    def outcome(self, invitation: Invitation) -> str:
        """The state; what nobody decided about in time says so."""
        is_over = invitation.state == State.WAITING and invitation.expires_at <= timezone.now()
        return "expired" if is_over else str(invitation.state)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Invitation]:
        """All invitations, without what must not be shown."""
        queryset: QuerySet[Invitation] = super().get_queryset(request)
        return queryset.defer("digest")
