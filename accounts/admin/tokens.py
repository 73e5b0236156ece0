"""Access tokens and CLI logins, for operators. Digests, codes and sealed values are never shown."""

from typing import ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display
from unfold.enums import ActionVariant

from accounts.models import AccessToken, CLILogin, User
from accounts.services import operators
from accounts.services.operator_power import has_power
from core.admin import ChoiceFilter, OperatorAdmin
from core.admin_actions import AdminAction, bulk_action, row_action

_REVOKE = AdminAction(
    title="Revoke",
    required_action="admin.revoke-token",
    icon="key_off",
    variant=ActionVariant.DANGER,
    is_grave=True,
    question="Revoke the token of {}?",
    named=lambda token: f"{token.label}, {token.user.get_short_name()}'s",
    explanation="The tool that holds it is signed out with its next request. This can't be undone.",
    explanation_of_many="The tools that hold them are signed out with their next requests. This can't be undone.",
    do=lambda token, by: operators.revoke_token(token=token, by=by, now=timezone.now()),
    done="{} is signed out.",
    not_done="{} was revoked before.",
)
_CLIENT_FIELDS = ("client_name", "hostname", "address", "user_agent")


class TokenStateFilter(ChoiceFilter):
    """Working, revoked or expired."""

    title = "state"
    parameter_name = "state"

    def conditions(self) -> dict[str, tuple[str, Q]]:
        """The states, as of now."""
        now = timezone.now()
        return {
            "working": ("Working", Q(revoked_at=None, expires_at__gt=now)),
            "revoked": ("Revoked", Q(revoked_at__isnull=False)),
            "expired": ("Expired", Q(revoked_at=None, expires_at__lte=now)),
        }


@admin.register(AccessToken)
class AccessTokenAdmin(OperatorAdmin):
    """The tools that are signed in, and those that were."""

    empty_list_text: ClassVar[str] = "No token matches. A token is made when somebody approves a tool's login."
    list_display = ("tool", "user", "state", "address", "created_at", "last_used_at", "expires_at")
    list_filter = (TokenStateFilter, ("user", AutocompleteSelectFilter), "created_at", "last_used_at")
    list_select_related = ("user",)
    search_fields = ("user__github_login", "user__username", "user__email", "hostname", "client_name", "id__exact")
    search_help_text = "Person, host, tool or id"
    fieldsets = (
        (None, {"fields": ("state", "user", "organization", "id")}),
        ("Tool", {"fields": _CLIENT_FIELDS}),
        ("Times", {"fields": ("created_at", "last_used_at", "expires_at", "revoked_at")}),
    )
    actions = ("revoke_selected",)
    actions_detail = ("revoke_one",)
    revoke_one, revoke_selected = row_action(_REVOKE), bulk_action(_REVOKE)

    @display(description="Tool", ordering="client_name")  # type: ignore[untyped-decorator]  # unfold is untyped
    def tool(self, token: AccessToken) -> str:
        """What the tool said of itself."""
        return token.label

    @display(  # type: ignore[untyped-decorator]
        description="State", label={"working": "success", "revoked": "danger", "expired": "warning"}
    )
    def state(self, token: AccessToken) -> str:
        """Working, revoked or expired."""
        if token.revoked_at:
            return "revoked"
        return "working" if token.expires_at > timezone.now() else "expired"

    def get_queryset(self, request: HttpRequest) -> QuerySet[AccessToken]:
        """All tokens, without what must not be shown."""
        queryset: QuerySet[AccessToken] = super().get_queryset(request)
        return queryset.defer("digest")

    def sensible_actions(self, row: AccessToken, by: User) -> dict[str, bool]:
        """Revoking, as long as it isn't revoked."""
        return {"revoke_one": row.revoked_at is None and has_power(by=by, over=[row.user_id])}


@admin.register(CLILogin)
class CLILoginAdmin(OperatorAdmin):
    """Who asked to be let in from a terminal, and what became of it."""

    empty_list_text: ClassVar[str] = "No login matches. Logins are kept for a day after their end."
    list_display = ("tool", "outcome", "decided_by", "address", "created_at", "decided_at")
    list_filter = ("state", ("decided_by", AutocompleteSelectFilter), "created_at")
    list_select_related = ("decided_by",)
    # A code can be looked for, when somebody reads one out; it is not shown.
    search_fields = ("code__exact", "decided_by__github_login", "decided_by__email", "hostname", "address__startswith")
    search_help_text = "Code, person, host or address"
    fieldsets = (
        (None, {"fields": ("outcome", "decided_by", "decided_at", "id")}),
        ("Tool", {"fields": _CLIENT_FIELDS}),
        ("Times", {"fields": ("created_at", "expires_at")}),
    )

    @display(description="Tool", ordering="client_name")  # type: ignore[untyped-decorator]
    def tool(self, login: CLILogin) -> str:
        """What the tool said of itself."""
        return login.label

    @display(  # type: ignore[untyped-decorator]
        description="Outcome",
        ordering="state",
        label={"collected": "success", "approved": "info", "denied": "danger", "pending": "warning"},
    )
    def outcome(self, login: CLILogin) -> str:
        """The state; what nobody decided or picked up in time says so."""
        if login.expires_at > timezone.now():
            return str(login.state)
        return {"pending": "expired", "approved": "not collected"}.get(login.state, str(login.state))

    def get_queryset(self, request: HttpRequest) -> QuerySet[CLILogin]:
        """All logins, without what must not be shown."""
        queryset: QuerySet[CLILogin] = super().get_queryset(request)
        return queryset.defer("code", "secret_digest", "sealed_token")
