"""Webhook tokens that were given out, for operators. The tokens themselves are kept nowhere."""

from typing import ClassVar

from django.contrib import admin
from django.utils import timezone
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display
from unfold.enums import ActionVariant

from accounts.models import User
from clouddev.models import WebhookToken
from clouddev.services import operator_actions, tokens
from core.admin import OperatorAdmin
from core.admin_actions import AdminAction, bulk_action, row_action


def _named(token: WebhookToken) -> str:
    maker = token.made_by.get_short_name() if token.made_by else "nobody who is here"
    return f"the webhook token {str(token.pk)[:8]} of {token.machine.app_name}, made by {maker}"


_REVOKE = AdminAction(
    title="Revoke",
    required_action="admin.revoke-webhook-token",
    icon="block",
    variant=ActionVariant.DANGER,
    is_grave=True,
    question="Revoke {}?",
    named=_named,
    explanation=tokens.AFTER_REVOCATION,
    do=lambda token, by: operator_actions.revoke_webhook_token(token=token, by=by, now=timezone.now()),
    done="{} is on the list of revoked tokens.",
    not_done="{} was revoked before.",
)


@admin.register(WebhookToken)
class WebhookTokenAdmin(OperatorAdmin):
    """Which webhook tokens there are: the revocation list."""

    empty_list_text: ClassVar[str] = "No token matches. People get one for callers of their workspace's webhooks."
    list_display = ("short_id", "machine", "badge", "made_by", "created_at", "expires_at", "revoked_at")
    list_filter = (
        ("revoked_at", admin.EmptyFieldListFilter),
        ("machine", AutocompleteSelectFilter),
        ("made_by", AutocompleteSelectFilter),
        "expires_at",
    )
    list_select_related = ("machine", "made_by")
    search_fields = ("jti__exact", "machine__app_name", "machine__fly_app__name", "made_by__github_login")
    search_help_text = "The token's `jti`, workspace, name at Fly or person"
    fieldsets = (
        (None, {"fields": ("jti", "machine", "badge", "made_by")}),
        ("When", {"fields": ("created_at", "expires_at", "revoked_at")}),
    )
    actions = ("revoke_selected",)
    actions_detail = ("revoke_one",)
    revoke_one, revoke_selected = row_action(_REVOKE), bulk_action(_REVOKE)

    @display(description="Token", ordering="jti")  # type: ignore[untyped-decorator]  # unfold is untyped
    def short_id(self, token: WebhookToken) -> str:
        """As its people are shown it."""
        return str(token.jti)[:8]

    @display(  # type: ignore[untyped-decorator]
        description="State", label={"works": "success", "revoked": "danger", "expired": "info"}
    )
    def badge(self, token: WebhookToken) -> str:
        """Whether it works."""
        if token.revoked_at:
            return "revoked"
        return "works" if token.expires_at > timezone.now() else "expired"

    def sensible_actions(self, row: WebhookToken, by: User) -> dict[str, bool]:
        """Revoking what works."""
        works = self.badge(row) == "works"
        return {"revoke_one": works and operator_actions.may_revoke(token=row, by=by)}
