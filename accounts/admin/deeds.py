"""What operators do to rows: each deed as a button of one row's page and as an action on selected rows.

A deed calls a service, which guards it and writes the audit trail; here is only how it is asked for.
Buttons open a dialog, and the dialog's form is what acts: a deed is never done by a link.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from unfold.decorators import action
from unfold.enums import ActionVariant

from accounts.models import User
from config.core.admin import back_to, confirmation
from config.core.errors import ApplicationError


@dataclass(frozen=True, slots=True)
class Deed:
    """`do` is the service: it gets the row and the operator, and says whether anything changed.

    `done` and `not_done` are what the operator reads then; "{}" stands for the row.
    """

    title: str
    icon: str
    variant: ActionVariant
    question: str
    explanation: str
    do: Callable[[Any, User], bool]
    done: str
    not_done: str


def on_one(deed: Deed) -> Any:
    """The deed as a button of one row's page."""

    @action(  # type: ignore[untyped-decorator]  # unfold is untyped
        description=deed.title,
        icon=deed.icon,
        variant=deed.variant,
        dialog=confirmation(deed.question, deed.explanation, deed.title),
    )
    def act(self: Any, request: HttpRequest, form: object, object_id: str) -> HttpResponse:  # noqa: ARG001 - unfold's
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        _do(deed, request, row)
        path = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=(row.pk,))
        return back_to(request, path)

    return act


def on_selected(deed: Deed) -> Any:
    """The deed as an action on the list's selected rows, each in a transaction of its own."""

    @admin.action(description=deed.title)
    def act(self: object, request: HttpRequest, queryset: Any) -> None:  # noqa: ARG001 - Django's signature
        for row in queryset:
            _do(deed, request, row)

    return act


def operator_of(request: HttpRequest) -> User:
    """Who asks; the site lets only signed-in operators come here."""
    return cast("User", request.user)


def do_and_tell(request: HttpRequest, row: Any, do: Callable[[Any, User], bool], *, done: str, not_done: str) -> None:
    """Do it and say what became of it."""
    try:
        changed = do(row, operator_of(request))
    except ApplicationError as error:
        messages.error(request, f"{row}: {error.sentence}")
        return
    if changed:
        messages.success(request, done.format(row))
    else:
        messages.info(request, not_done.format(row))


def _do(deed: Deed, request: HttpRequest, row: Any) -> None:
    do_and_tell(request, row, deed.do, done=deed.done, not_done=deed.not_done)
