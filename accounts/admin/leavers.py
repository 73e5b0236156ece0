"""Who no longer fits the sign-up policy: who left and why, what ended, and what is still to do."""

from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display
from unfold.enums import ActionVariant

from accounts.models import Departure, ProviderLook, User
from accounts.services import departure_actions, departures
from accounts.services.operator_power import has_power
from core.admin import OperatorAdmin
from core.admin_actions import AdminAction, bulk_action, row_action


def _named(departure: Departure) -> str:
    return f"{departure.user.display_name} ({departure.user.get_short_name()})"


_RESTORE = AdminAction(
    title="Restore",
    required_action="admin.restore-leaver",
    icon="undo",
    variant=ActionVariant.SUCCESS,
    question="Restore {}?",
    named=_named,
    explanation=(
        "They can sign in again, and what can be given back is. The sign-up policy is asked about them again within "
        "the hour: if they don't fit by then, they are out again."
    ),
    do=lambda departure, by: departure_actions.restore(departure=departure, by=by, now=timezone.now()),
    done="{} is restored.",
    not_done="{} was not out for this any more.",
)
_WRONG = AdminAction(
    title="This was wrong",
    required_action="admin.keep-leaver",
    icon="person_check",
    variant=ActionVariant.PRIMARY,
    question="Restore {}, and never ask about them again?",
    named=_named,
    explanation=(
        "They can sign in again, and what can be given back is. From now on they stay, whatever the sign-up policy "
        "says, until you choose “Ask again” here."
    ),
    do=lambda departure, by: departure_actions.call_wrong(departure=departure, by=by, now=timezone.now()),
    done="{} is restored, and stays.",
    not_done="{} was not out for this any more.",
)
_ASK_AGAIN = AdminAction(
    title="Ask again",
    required_action="admin.ask-about-leaver",
    icon="help",
    variant=ActionVariant.DEFAULT,
    question="Ask the sign-up policy about {} again?",
    named=_named,
    explanation="Within the hour they are out if they don't fit.",
    do=lambda departure, by: departure_actions.ask_again(departure=departure, by=by),
    done="The policy is asked about {} again.",
    not_done="The policy was asked about {} anyway.",
)


class LeaverList(ChangeList):
    """The list, which asks once for what is still to do about all of its rows."""

    def get_results(self, request: HttpRequest) -> None:
        """One page of rows, each with its `to_do`."""
        super().get_results(request)
        rows: list[Any] = list(self.result_list)
        told = departures.to_do(row.user_id for row in rows if row.outcome == Departure.Outcome.OUT)
        for row in rows:
            row.left_over = told.get(row.user_id, []) if row.outcome == Departure.Outcome.OUT else []
        self.result_list = rows


@admin.register(Departure)
class DepartureAdmin(OperatorAdmin):
    """Leavers, newest first, and how the last looks for them went."""

    empty_list_text: ClassVar[str] = "Nobody has left. The sign-up policy is asked about everybody every hour."
    list_before_template = "admin/leavers_looks.html"
    list_display = ("user", "reason", "found_by", "left_at", "badge", "what_ended", "still_to_do")
    list_display_links = ("user",)
    list_filter = ("outcome", "found_by", ("user", AutocompleteSelectFilter), "left_at")
    list_select_related = ("user", "closed_by")
    search_fields = ("user__github_login", "user__username", "user__email", "reason")
    search_help_text = "Person or reason"
    ordering = ("-left_at", "-pk")
    fieldsets = (
        (None, {"fields": ("user", "reason", "found_by", "left_at", "badge", "closed_at", "closed_by")}),
        ("What this is about", {"fields": ("what_ended", "still_to_do")}),
    )
    actions = ("restore_selected",)
    actions_detail = ("restore_one", "wrong_one", "ask_again_one")
    restore_one, restore_selected = row_action(_RESTORE), bulk_action(_RESTORE)
    wrong_one = row_action(_WRONG)
    ask_again_one = row_action(_ASK_AGAIN)

    @display(  # type: ignore[untyped-decorator]  # unfold is untyped
        description="State",
        ordering="outcome",
        label={
            "out": "danger",
            "came back": "success",
            "restored by an operator": "info",
            "was wrong": "warning",
            "suspended by an operator": "danger",
        },
    )
    def badge(self, departure: Departure) -> str:
        """What became of it."""
        return str(Departure.Outcome(departure.outcome).label)

    @display(description="What ended")  # type: ignore[untyped-decorator]
    def what_ended(self, departure: Departure) -> str:
        """The parts of which there was anything."""
        return ", ".join(f"{part}: {count}" for part, count in departure.ended.items() if count)

    @display(description="Still to do")  # type: ignore[untyped-decorator]
    def still_to_do(self, departure: Departure) -> str:
        """What workers have yet to end, and what operators have to decide about."""
        if departure.outcome != Departure.Outcome.OUT:
            return ""
        left_over = getattr(departure, "left_over", None)
        if left_over is None:
            left_over = departures.to_do([departure.user_id]).get(departure.user_id, [])
        return "; ".join(left_over) or "nothing"

    def get_changelist(self, request: HttpRequest, **_kwargs: Any) -> type[ChangeList]:  # noqa: ARG002 - Django's
        """Our list."""
        return LeaverList

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, below what the last looks said."""
        is_a_list = settings.SIGNUP_POLICY == "allowlist"
        looks = ProviderLook.objects.all() if is_a_list else ()
        context = {"looks": looks, "is_a_list": is_a_list, **(extra_context or {})}
        return super().changelist_view(request, context)

    def sensible_actions(self, row: Departure, by: User) -> dict[str, bool]:
        """Restoring while the person is out for this, asking again where they are spared."""
        if not has_power(by=by, over=[row.user_id]):
            return {}
        is_out = row.outcome == Departure.Outcome.OUT
        is_spared = row.outcome == Departure.Outcome.MISTAKE
        return {"restore_one": is_out, "wrong_one": is_out, "ask_again_one": is_spared}
