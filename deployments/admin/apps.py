"""Deployed apps, for operators."""

from typing import ClassVar

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display
from unfold.enums import ActionVariant

from accounts.models import User
from core.admin import OperatorAdmin
from core.admin_actions import AdminAction, row_action
from deployments.models import Build, Deployment
from deployments.models.builds import LATEST_FIRST
from deployments.services import operator_actions

_DESTROY = AdminAction(
    title="Destroy",
    required_action="admin.destroy-app",
    icon="delete_forever",
    variant=ActionVariant.DANGER,
    is_grave=True,
    question="Destroy {}?",
    named=lambda app: f"the app {app.app_name} of {app.owner.get_short_name()} ({app.fly_app_id})",
    typed=lambda app: str(app.app_name),
    explanation="It is deleted at Fly with its secrets and machines, and here with its builds. This can't be undone.",
    do=lambda app, by: operator_actions.destroy(deployment=app, by=by, now=timezone.now()),
    done="{} is destroyed.",
    not_done="{} is being destroyed; what is left is done in the background.",
)


@admin.register(Deployment)
class DeploymentAdmin(OperatorAdmin):
    """Who deploys what, and how its latest build went."""

    empty_list_text: ClassVar[str] = "No app matches. An app appears when somebody deploys for the first time."
    list_display = ("app_name", "owner", "badge", "latest_build", "fly_app", "created_at")
    list_filter = ("state", ("owner", AutocompleteSelectFilter), "created_at")
    list_select_related = ("owner", "fly_app")
    search_fields = (
        "app_name",
        "fly_app__name",
        "owner__github_login",
        "owner__username",
        "owner__email",
        "id__exact",
    )
    search_help_text = "App, name at Fly or person"
    ordering = ("-created_at",)
    fieldsets = (
        (None, {"fields": ("app_name", "badge", "address", "builds", "id")}),
        ("Whose", {"fields": ("owner", "organization")}),
        ("At Fly", {"fields": ("fly_app", "created_at")}),
    )
    actions = ()
    actions_detail = ("destroy_one",)
    destroy_one = row_action(_DESTROY)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Deployment]:
        """With the state of each app's latest build."""
        queryset: QuerySet[Deployment] = super().get_queryset(request)
        latest = Build.objects.filter(deployment=OuterRef("pk")).order_by(*LATEST_FIRST).values("state")[:1]
        return queryset.annotate(latest_state=Subquery(latest))

    def sensible_actions(self, row: Deployment, by: User) -> dict[str, bool]:
        """Destroying it, for who has power over its owner."""
        return {"destroy_one": operator_actions.may(deployment=row, by=by)}

    @display(  # type: ignore[untyped-decorator]  # unfold is untyped
        description="State",
        ordering="state",
        label={"preparing": "info", "ready": "success", "destroying": "warning"},
    )
    def badge(self, deployment: Deployment) -> str:
        """Preparing, ready or destroying."""
        return str(deployment.state)

    @display(  # type: ignore[untyped-decorator]
        description="Latest build",
        ordering="latest_state",
        label={
            "queued": "info",
            "building": "info",
            "released": "warning",
            "live": "success",
            "failed": "danger",
            "interrupted": "danger",
        },
    )
    def latest_build(self, deployment: Deployment) -> str:
        """The state of the newest build."""
        return str(getattr(deployment, "latest_state", None) or "none yet")

    @display(description="Address")  # type: ignore[untyped-decorator]
    def address(self, deployment: Deployment) -> SafeString:
        """Where the app answers."""
        return format_html('<a class="text-link" href="{0}" rel="noreferrer">{0}</a>', deployment.url)

    @display(description="See")  # type: ignore[untyped-decorator]
    def builds(self, deployment: Deployment) -> SafeString:
        """The app's builds."""
        path = reverse("admin:deployments_build_changelist")
        return format_html(
            '<a class="text-link" href="{}?deployment__id__exact={}">its builds</a>', path, deployment.pk
        )
