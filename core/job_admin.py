"""The workers' jobs, for operators: to be read only. Their arguments are ids; what is to be done stands in the rows."""

from typing import ClassVar

from django.contrib import admin
from procrastinate.contrib.django.models import ProcrastinateJob
from unfold.decorators import display

from core.admin import OperatorAdmin


@admin.register(ProcrastinateJob)
class JobAdmin(OperatorAdmin):
    """What workers are to do, do, and did."""

    empty_list_text: ClassVar[str] = "No job matches. Jobs that went well are kept for a while only."
    list_display = ("id", "task_name", "standing", "args", "queue_name", "attempts", "scheduled_at")
    list_display_links = ("id", "task_name")
    list_filter = ("status", "queue_name", ("task_name", admin.AllValuesFieldListFilter))
    search_fields = ("task_name", "queueing_lock__exact", "id__exact")
    search_help_text = "Task, lock or number"
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("id", "task_name", "standing", "args", "attempts")}),
        ("How", {"fields": ("queue_name", "priority", "lock", "queueing_lock", "scheduled_at", "abort_requested")}),
    )
    actions = ()

    @display(  # type: ignore[untyped-decorator]  # unfold is untyped
        description="State",
        ordering="status",
        label={"todo": "info", "doing": "primary", "succeeded": "success", "failed": "danger"},
    )
    def standing(self, job: ProcrastinateJob) -> str:
        """As procrastinate has it."""
        return str(job.status)
