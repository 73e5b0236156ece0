"""Cron jobs and their runs, for operators: to be read only."""

from typing import ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display

from clouddev.models import CronJob, CronRun
from core.admin import OperatorAdmin

_RUN_STATES = {"starting": "info", "running": "info", "succeeded": "success", "failed": "danger"}


@admin.register(CronJob)
class CronJobAdmin(OperatorAdmin):
    """Which workflows start when. What they are given isn't shown: it may hold anything."""

    empty_list_text: ClassVar[str] = "No job matches. People make them with their tools."
    list_display = ("workflow_name", "machine", "badge", "cron_expression", "timezone", "next_run_at", "created_by")
    list_filter = (
        ("paused_at", admin.EmptyFieldListFilter),
        ("machine", AutocompleteSelectFilter),
        ("created_by", AutocompleteSelectFilter),
        "next_run_at",
    )
    list_select_related = ("machine", "created_by")
    search_fields = ("workflow_name", "machine__app_name", "machine__fly_app__name", "created_by__github_login")
    search_help_text = "Workflow, workspace, name at Fly or person"
    fieldsets = (
        (None, {"fields": ("workflow_name", "machine", "badge", "created_by", "id")}),
        ("Schedule", {"fields": ("cron_expression", "timezone", "next_run_at", "paused_at", "paused_reason")}),
        ("When", {"fields": ("created_at", "updated_at")}),
    )
    actions = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[CronJob]:
        """All jobs, without what their workflows are given."""
        queryset: QuerySet[CronJob] = super().get_queryset(request)
        return queryset.defer("input")

    @display(  # type: ignore[untyped-decorator]  # unfold is untyped
        description="State", ordering="paused_at", label={"on": "success", "paused": "warning"}
    )
    def badge(self, job: CronJob) -> str:
        """On or paused."""
        return "paused" if job.paused_at else "on"


@admin.register(CronRun)
class CronRunAdmin(OperatorAdmin):
    """What became of each start."""

    empty_list_text: ClassVar[str] = "No run matches. Each start of a cron job makes one."
    list_display = ("due_at", "job", "badge", "run_id", "started_at", "finished_at", "error")
    list_filter = ("state", ("job", AutocompleteSelectFilter), "due_at")
    list_select_related = ("job", "job__machine")
    search_fields = ("job__workflow_name", "job__machine__app_name", "job__machine__fly_app__name", "run_id__exact")
    search_help_text = "Workflow, workspace, name at Fly or id of the run"
    date_hierarchy = "due_at"
    fieldsets = (
        (None, {"fields": ("job", "badge", "error", "run_id", "id")}),
        ("When", {"fields": ("due_at", "started_at", "finished_at")}),
    )
    actions = ()

    @display(description="State", ordering="state", label=_RUN_STATES)  # type: ignore[untyped-decorator]
    def badge(self, run: CronRun) -> str:
        """Starting, running, succeeded or failed."""
        return str(run.state)
