"""Builds, for operators. Archives and what is sealed of an environment are never shown."""

from typing import ClassVar

from django.contrib import admin
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display
from unfold.enums import ActionVariant

from accounts.models import User
from core.admin import ChoiceFilter, OperatorAdmin
from core.admin_actions import AdminAction, bulk_action, row_action
from deployments.models import Build
from deployments.services import app_logs, cancellation, operator_actions
from deployments.services.display import badge_of, spoken

State = Build.State
_STATE_GROUPS = {
    "running": ("Running", Q(state__in=[State.BUILDING, State.RELEASED], finished_at=None)),
    "waiting": ("Waiting", Q(state=State.QUEUED)),
    "failed": ("Failed or interrupted", Q(state__in=[State.FAILED, State.INTERRUPTED])),
    "silent": ("Released, not answering", Q(state=State.RELEASED, finished_at__isnull=False)),
}


def _named(build: Build) -> str:
    app = build.deployment
    return f"build {str(build.pk)[:8]} of {app.app_name}, {app.owner.get_short_name()}'s"


_CANCEL = AdminAction(
    title="Cancel",
    required_action="admin.cancel-build",
    icon="cancel",
    variant=ActionVariant.DANGER,
    question="Cancel {}?",
    named=_named,
    explanation="One that waits is over at once, one that runs stops within seconds. The app stays as it is.",
    do=lambda build, by: operator_actions.cancel(build=build, by=by),
    done="{} is canceled.",
    not_done="{} was canceled before.",
)
_REDEPLOY = AdminAction(
    title="Deploy this image again",
    required_action="admin.redeploy-build",
    icon="replay",
    variant=ActionVariant.PRIMARY,
    question="Deploy the image of {} again?",
    named=_named,
    explanation="A new build brings the image of this one to the app. Nothing is built.",
    do=lambda build, by: bool(operator_actions.redeploy(build=build, by=by, now=timezone.now())),
    done="The image of {} is being deployed again.",
    not_done="{} was not deployed again.",
)


class StateGroupFilter(ChoiceFilter):
    """What an operator looks for."""

    title = "what"
    parameter_name = "group"

    def conditions(self) -> dict[str, tuple[str, Q]]:
        """The groups of states."""
        return _STATE_GROUPS


@admin.register(Build)
class BuildAdmin(OperatorAdmin):
    """What became of each push."""

    empty_list_text: ClassVar[str] = "No build matches. Each push of an app makes one."
    list_display = ("short_id", "deployment", "badge", "pushed_by", "shown_commit", "created_at", "took", "attempt")
    list_filter = (
        StateGroupFilter,
        "state",
        ("deployment", AutocompleteSelectFilter),
        ("pushed_by", AutocompleteSelectFilter),
        "created_at",
        "finished_at",
    )
    list_select_related = ("deployment", "pushed_by")
    search_fields = (
        "deployment__app_name",
        "deployment__fly_app__name",
        "commit__startswith",
        "pushed_by__github_login",
        "pushed_by__username",
        "pushed_by__email",
        "id__exact",
    )
    search_help_text = "App, name at Fly, commit or person"
    date_hierarchy = "created_at"
    fieldsets = (
        (None, {"fields": ("deployment", "badge", "step", "error", "id")}),
        ("What", {"fields": ("pushed_by", "organization", "commit", "archive_bytes", "image", "from_image")}),
        (
            "When",
            {"fields": ("created_at", "accepted_at", "started_at", "released_at", "finished_at", "took")},
        ),
        ("The worker", {"fields": ("attempt", "heartbeat_at", "cancel_requested_at", "internal_port")}),
        ("Log", {"fields": ("log_length", "end_of_log")}),
    )
    actions = ("cancel_selected",)
    actions_detail = ("cancel_one", "redeploy_one")
    cancel_one, cancel_selected = row_action(_CANCEL), bulk_action(_CANCEL)
    redeploy_one = row_action(_REDEPLOY)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Build]:
        """All builds, without what must not be shown; how long each took can be sorted by."""
        queryset: QuerySet[Build] = super().get_queryset(request)
        return queryset.annotate(duration=F("finished_at") - F("started_at")).defer("sealed_environment", "archive")

    @display(description="Build", ordering="id")  # type: ignore[untyped-decorator]  # unfold is untyped
    def short_id(self, build: Build) -> str:
        """As its owner is shown it."""
        return build.short_id

    @display(  # type: ignore[untyped-decorator]
        description="State",
        ordering="state",
        label={
            "Receiving": "info",
            "Queued": "info",
            "Building": "info",
            "Starting": "info",
            "Canceling": "warning",
            "Not answering": "warning",
            "Live": "success",
            "Failed": "danger",
            "Interrupted": "danger",
        },
    )
    def badge(self, build: Build) -> str:
        """As its owner is shown it."""
        return badge_of(build).word

    @display(description="Commit", ordering="commit")  # type: ignore[untyped-decorator]
    def shown_commit(self, build: Build) -> str:
        """The commit's beginning."""
        return build.commit[:12] or "—"

    @display(description="Took", ordering="duration")  # type: ignore[untyped-decorator]
    def took(self, build: Build) -> str:
        """How long a worker was, or has been, at it."""
        if build.started_at is None:
            return "—"
        length = spoken((build.finished_at or timezone.now()) - build.started_at)
        return length if build.finished_at else f"{length} so far"

    @display(description="End of the log")  # type: ignore[untyped-decorator]
    def end_of_log(self, build: Build) -> SafeString:
        """Its last lines."""
        part = app_logs.read_tail(build_id=build.pk, length=build.log_length)
        return format_html('<pre class="crayon-log">{}</pre>', part.text or "Nothing was logged.")

    def sensible_actions(self, row: Build, by: User) -> dict[str, bool]:
        """Canceling until it is released; deploying again, once it is over, what has an image."""
        if not operator_actions.may(deployment=row.deployment, by=by):
            return {}
        return {
            "cancel_one": cancellation.can_be_canceled(row),
            "redeploy_one": row.is_over and bool(row.image),
        }
