"""What every page of the operators' admin keeps to: it shows, and changes only what it names.

An operator is a person with `is_staff`. Operators see everything that is not a secret; there are no
groups and no permissions per table, so that who may do what fits into one sentence: operators act on
people and what is theirs, superusers also on operators (`accounts/services/operator_power.py`).
"""

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import DataError
from django.db.models import Model, Q, QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse_lazy
from procrastinate.contrib.django.models import ProcrastinateJob
from unfold.admin import ModelAdmin, TabularInline
from unfold.dataclasses import UnfoldAction
from unfold.decorators import display

from core.actions import Required
from core.errors import Malformed
from core.next_url import is_from_htmx

_ROWS_PER_PAGE = 50
# The actions of a list's selected rows are posted to the list, and ask for themselves.
_LOOKING: Mapping[str, Required] = {"changelist": "admin.view"}


class OperatorAdmin(ModelAdmin):  # type: ignore[misc]  # unfold is untyped
    """A table that operators read. Nothing is added, changed or deleted unless a subclass allows it.

    `fields` or `fieldsets` name what is shown, so that a new column, which may hold a secret, isn't.
    """

    list_per_page = _ROWS_PER_PAGE
    show_full_result_count = False
    list_filter_submit = True
    actions_on_bottom = False
    list_fullwidth = True
    # Says what an empty list means, instead of inviting to create a row.
    empty_list_text: ClassVar[str] = "Nothing here yet."
    # What Django's own forms do where a subclass allows them, by the names of their addresses: "add", "change", …
    required_actions: ClassVar[Mapping[str, Required]] = {}

    def get_urls(self) -> list[URLPattern]:
        """The table's addresses; strangers are led to the operators' sign-in page instead of everybody's.

        Each names its action: buttons have their own, and what nothing is said of is looked at only.
        """
        patterns: list[URLPattern] = super().get_urls()
        for pattern in patterns:
            cast("Any", pattern.callback).login_url = reverse_lazy("admin:login")
        return self.with_actions(patterns)

    def with_actions(self, patterns: list[URLPattern]) -> list[URLPattern]:
        """The addresses, with what each does."""
        prefix = f"{self.opts.app_label}_{self.opts.model_name}_"
        for pattern in patterns:
            view, name = cast("Any", pattern.callback), str(pattern.name or "").removeprefix(prefix)
            if not getattr(view, "required_action", ""):
                view.required_action = self.required_actions.get(name) or _LOOKING.get(name, {"GET": "admin.view"})
        return patterns

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list. Raises Malformed for selected rows, a page or a search that can't be."""
        try:
            response: HttpResponse = super().changelist_view(request, extra_context)
            if isinstance(response, TemplateResponse):
                # Some of the queries are made only now; the view's own render would do it outside of this.
                response.render()
        except (DataError, RecursionError, ValidationError, ValueError, OverflowError) as error:
            # Among them a year beyond the calendar, which Python refuses before PostgreSQL sees it.
            raise Malformed("Nothing can be looked for that way.") from error
        return response

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Whether a list may be filtered so: only by columns that are shown or filtered by.

        Whether anything matches `code__startswith` would tell a hidden value, letter by letter. Django answers 400.
        """
        try:
            field = self.opts.get_field(lookup.partition(LOOKUP_SEP)[0])
        except FieldDoesNotExist:
            return bool(super().lookup_allowed(lookup, value, request))
        return field.name in self._open_columns() and bool(super().lookup_allowed(lookup, value, request))

    def _open_columns(self) -> set[str]:
        filters = [item[0] if isinstance(item, tuple) else item for item in self.list_filter]
        return {self.opts.pk.name, *flatten_fieldsets(self.fieldsets or ()), *filters}

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Operators see every table."""
        return is_operator(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 - Django's
        """Operators see every row."""
        return is_operator(request)

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Rows come from what people and their tools do."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Rows change through actions, which call services."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Nothing is deleted by hand."""
        return False

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """The row. A page that is only looked at reads it once, for its fields and for its buttons."""
        if request.method != "GET":
            return super().get_object(request, object_id, from_field)
        read = request.__dict__.setdefault("_rows_of_the_admin", {})
        key = (self.model, object_id, from_field)
        if key not in read:
            read[key] = super().get_object(request, object_id, from_field)
        return read[key]

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[UnfoldAction]:
        """Those of `actions_detail` that are buttons of this row's page, for who asks."""
        row = self.get_object(request, str(object_id)) if self.actions_detail else None
        if row is None:
            return []
        sensible, prefix = self.sensible_actions(row, request.user), f"{self.opts.app_label}_{self.opts.model_name}_"
        offered: list[UnfoldAction] = super().get_actions_detail(request, object_id)
        return [action for action in offered if sensible.get(action.action_name.removeprefix(prefix))]

    def sensible_actions(self, row: Any, by: Any) -> Mapping[str, bool]:  # noqa: ARG002 - for subclasses
        """Which actions this operator may take, and to what end, with the row as it is."""
        return {}


class ChoiceFilter(admin.SimpleListFilter):
    """A filter of a list by choices of ours."""

    def conditions(self) -> Mapping[str, tuple[str, Q]]:
        """Each choice's title, and what holds for the rows that it leaves."""
        raise NotImplementedError

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's
        """The choices."""
        return [(name, title) for name, (title, _) in self.conditions().items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        """The rows for which what was chosen holds; all where nothing was."""
        chosen = self.conditions().get(self.value() or "")
        return queryset.filter(chosen[1]) if chosen else queryset


class OperatorInline(TabularInline):  # type: ignore[misc]  # unfold is untyped
    """Rows shown within another's page, read-only."""

    extra = 0
    can_delete = False
    show_change_link = False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Operators see every row."""
        return is_operator(request)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """No adding."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """No changing."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """No deleting."""
        return False


def is_operator(request: HttpRequest) -> bool:
    """Whether the request comes from an operator who isn't suspended."""
    return bool(request.user.is_active and request.user.is_staff)


def back_to(request: HttpRequest, path: str) -> HttpResponse:
    """Lead to `path` after a dialog, which htmx has sent unless the browser runs no scripts."""
    if is_from_htmx(request):
        return HttpResponse(headers={"HX-Redirect": path})
    return redirect(path)


@admin.register(ProcrastinateJob)
class JobAdmin(OperatorAdmin):
    """What workers are to do, do, and did, to be read only. What is to be done stands in the rows that they name."""

    empty_list_text: ClassVar[str] = "No job matches. Jobs that went well are kept for a while only."
    list_display = ("id", "task_name", "badge", "args", "queue_name", "attempts", "scheduled_at")
    list_display_links = ("id", "task_name")
    list_filter = ("status", "queue_name", ("task_name", admin.AllValuesFieldListFilter))
    search_fields = ("task_name", "queueing_lock__exact", "id__exact")
    search_help_text = "Task, lock or number"
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("id", "task_name", "badge", "args", "attempts")}),
        ("How", {"fields": ("queue_name", "priority", "lock", "queueing_lock", "scheduled_at", "abort_requested")}),
    )
    actions = ()

    @display(  # type: ignore[untyped-decorator]  # unfold is untyped
        description="State",
        ordering="status",
        label={"todo": "info", "doing": "primary", "succeeded": "success", "failed": "danger"},
    )
    def badge(self, job: ProcrastinateJob) -> str:
        """The job's status in procrastinate's words."""
        return str(job.status)
