"""What operators do to rows: each action is a button on one row's page, and an entry in the list's menu of actions.

An action calls a service, which checks the operator's power and writes the audit row; this module only asks for
confirmation. A button opens a page (a dialog where scripts run) that names the row; its form does the action, since a
link must not change anything. A grave action on selected rows is confirmed in the same way, with all rows named.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.decorators import action as unfold_action
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextInputWidget

from core.actions import authorize
from core.admin import back_to
from core.errors import ApplicationError

# As many as people read before they press a button.
MOST_AT_ONCE = 50
_TEMPLATE = "admin/confirm_action.html"


class AdminActionForm(forms.Form):
    """What is typed before an action is done; `name` is there where `expected` has to be typed."""

    name = forms.CharField(
        max_length=300, required=False, widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"})
    )

    def __init__(self, *args: Any, expected: str = "", **kwargs: Any) -> None:
        """`expected` is what has to be typed; nothing where pressing the button is enough."""
        super().__init__(*args, **kwargs)
        self.expected = expected
        if expected:
            self.fields["name"].label = f"Type “{expected}”"
        else:
            del self.fields["name"]

    def clean_name(self) -> str:
        """Refuse anything else."""
        if self.cleaned_data["name"].strip() != self.expected:
            raise forms.ValidationError(f"That is not “{self.expected}”. Nothing was done.")
        return self.expected


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminAction:
    """`do` is the service: it gets the row, the operator and what was typed, and says whether anything changed.

    `required_action` is what the operator has to be allowed. `named` says which row, and whose, and stands for "{}" in
    `question`. In `done` and `not_done`, which the operator reads then, "{}" is the row's short name.
    `explanation_of_many` is for several rows. A grave action is asked for in red, also for selected rows. What `typed`
    says of a row has to be typed.
    """

    title: str
    required_action: str
    icon: str
    variant: ActionVariant
    question: str
    explanation: str
    named: Callable[[Any], str]
    do: Callable[..., bool]
    done: str
    not_done: str
    is_grave: bool = False
    explanation_of_many: str = ""
    typed: Callable[[Any], str] | None = None
    form: type[AdminActionForm] = AdminActionForm

    def expected_of(self, rows: Sequence[Any]) -> str:
        """What has to be typed before it is done to these rows."""
        if self.typed is None:
            return ""
        return self.typed(rows[0]) if len(rows) == 1 else f"{self.title.lower()} {len(rows)}"


def row_action(action: AdminAction) -> Any:
    """The action as a button of one row's page."""

    @unfold_action(description=action.title, icon=action.icon, variant=action.variant)  # type: ignore[untyped-decorator]  # unfold is untyped
    def act(self: Any, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        path = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=(row.pk,))
        is_pressed = request.method == "POST"
        form = action.form(request.POST if is_pressed else None, expected=action.expected_of([row]))
        if is_pressed and form.is_valid():
            _do(action, request, row, form.cleaned_data)
            return back_to(request, path)
        question = action.question.format(action.named(row))
        return _confirmation(
            self, request, action, {"question": question, "explanation": action.explanation, "form": form, "back": path}
        )

    act.required_action = action.required_action
    # The button opens what is answered as a dialog; unfold's own dialogs can't name the row.
    act.dialog = {"title": action.title}
    return act


def bulk_action(action: AdminAction) -> Any:
    """The action for the list's selected rows, each in a transaction of its own."""

    @admin.action(description=action.title)
    def act(self: Any, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        authorize(request.user, action.required_action)
        if not action.is_grave:
            for row in queryset:
                _do(action, request, row, {})
            return None
        rows = list(queryset[: MOST_AT_ONCE + 1])
        if len(rows) > MOST_AT_ONCE:
            messages.error(
                request, f"Select {MOST_AT_ONCE} at most, so that all of them can be named. Nothing was done."
            )
            return None
        is_pressed = request.POST.get("post") == "yes"
        form = action.form(request.POST if is_pressed else None, expected=action.expected_of(rows))
        if is_pressed and form.is_valid():
            for row in rows:
                _do(action, request, row, {})
            return None
        context = {
            "question": _of_many(action, rows),
            "explanation": (len(rows) > 1 and action.explanation_of_many) or action.explanation,
            "names": [action.named(row) for row in rows] if len(rows) > 1 else [],
            "form": form,
            "back": request.get_full_path(),
            "bulk_action": request.POST["action"],
            "checkbox": ACTION_CHECKBOX_NAME,
            "keys": [str(row.pk) for row in rows],
        }
        return _confirmation(self, request, action, context)

    act.required_action = action.required_action  # type: ignore[attr-defined]  # for the tests; it asks itself
    return act


def _of_many(action: AdminAction, rows: Sequence[Any]) -> str:
    if len(rows) == 1:
        return action.question.format(action.named(rows[0]))
    return f"{action.title}: these {len(rows)}?"


def _confirmation(self: Any, request: HttpRequest, action: AdminAction, context: Mapping[str, Any]) -> HttpResponse:
    """The page that asks, with what was wrong with what was typed."""
    whole = {
        **self.admin_site.each_context(request),
        "title": action.title,
        "opts": self.opts,
        "action": action,
        **context,
    }
    return TemplateResponse(request, _TEMPLATE, whole)


def _do(action: AdminAction, request: HttpRequest, row: Any, typed: Mapping[str, str]) -> None:
    """Do it and say what became of it."""
    more = {name: value for name, value in typed.items() if name != "name"}
    try:
        changed = action.do(row, request.user, **more)
    except ApplicationError as error:
        messages.error(request, f"{row}: {error.sentence}")
        return
    if changed:
        messages.success(request, action.done.format(row, **more))
    else:
        messages.info(request, action.not_done.format(row, **more))
