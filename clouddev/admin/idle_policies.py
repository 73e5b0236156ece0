"""What organizations want done with machines that nobody uses: the one table that operators edit."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from accounts.current_user import person_of
from accounts.models import Organization, User
from accounts.services.operator_power import SuperusersOnly
from clouddev.models import IdlePolicy
from clouddev.services import operator_actions
from core.actions import Required
from core.admin import OperatorAdmin, is_operator

_NOT_SEEN = (
    "Use is what goes through this server, and a start by Fly's proxy. Work over a connection that was open before, "
    "such as SSH, is not seen: owners protect it by “Keep alive”, on the workspace's page or by the API."
)
_NUMBERS = ("stop_after_minutes", "warn_after_days", "days_to_react", "then")


class IdlePolicyForm(forms.ModelForm):  # type: ignore[type-arg]
    """A policy. An empty number means that this is not done."""

    class Meta:
        """What an operator decides."""

        model = IdlePolicy
        fields = ("organization", *_NUMBERS)
        help_texts = {
            "stop_after_minutes": "Empty: workspaces run until their people, or Fly's autostop, stop them. "
            + _NOT_SEEN,
            "warn_after_days": "Empty: nobody is warned, and nothing follows. The API's status and list "
            "tell the warning, and so do the workspace's pages.",
            "days_to_react": "Who uses the workspace within these days keeps it. " + _NOT_SEEN,
        }

    operator: User

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take no zero, which would stop what has just started."""
        super().__init__(*args, **kwargs)
        for name in ("stop_after_minutes", "warn_after_days", "days_to_react"):
            self.fields[name].widget.attrs["min"] = 1

    def clean_organization(self) -> Organization:
        """Refuse one with people over whom the operator has no power."""
        organization: Organization = self.cleaned_data["organization"]
        if not operator_actions.may_set_policy(organization=organization, by=self.operator):
            raise forms.ValidationError(SuperusersOnly.default)
        return organization

    def clean(self) -> dict[str, Any]:
        """Refuse zeros."""
        cleaned = super().clean() or {}
        for name in ("stop_after_minutes", "warn_after_days", "days_to_react"):
            if cleaned.get(name) == 0:
                self.add_error(
                    name, "Give at least 1, or leave it empty." if name != "days_to_react" else "At least 1."
                )
        return cleaned


@admin.register(IdlePolicy)
class IdlePolicyAdmin(OperatorAdmin):
    """Which organizations have idle machines stopped or deleted. Without a row nothing is done."""

    form = IdlePolicyForm
    required_actions: ClassVar[Mapping[str, Required]] = {
        name: {"GET": "admin.view", "POST": "admin.set-idle-policy"} for name in ("add", "change", "delete")
    }
    empty_list_text: ClassVar[str] = (
        "No organization has a policy, so no workspace is stopped or deleted for being idle."
    )
    list_display = ("organization", "stop_after_minutes", "warn_after_days", "days_to_react", "then")
    list_filter = ("then",)
    list_select_related = ("organization",)
    search_fields = ("organization__slug", "organization__name")
    search_help_text = "Organization"
    autocomplete_fields = ("organization",)
    fieldsets = (
        (None, {"fields": ("organization",)}),
        ("Stop", {"fields": ("stop_after_minutes",)}),
        ("Warn, and then", {"fields": ("warn_after_days", "days_to_react", "then")}),
    )
    actions = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Operators make policies."""
        return is_operator(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Operators change those of organizations whose people they have power over."""
        return is_operator(request) and (obj is None or _may(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """They delete them likewise."""
        return self.has_change_permission(request, obj)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:  # noqa: ARG002 - Django's signature
        """None: Django's own action for deleting would delete several without a look at each."""
        return {}

    def get_readonly_fields(self, request: HttpRequest, obj: IdlePolicy | None = None) -> tuple[str, ...]:  # noqa: ARG002
        """Whose a policy is stays."""
        return ("organization",) if obj else ()

    def get_form(self, request: HttpRequest, obj: IdlePolicy | None = None, **options: Any) -> Any:
        """The form knows who fills it in."""
        form = super().get_form(request, obj, **options)
        return type(form.__name__, (form,), {"operator": person_of(request)})

    def save_model(self, request: HttpRequest, obj: IdlePolicy, form: object, change: bool) -> None:  # noqa: ARG002, FBT001
        """Save it; the page is one transaction."""
        operator_actions.save_policy(policy=obj, by=person_of(request))

    def delete_model(self, request: HttpRequest, obj: IdlePolicy) -> None:
        """Delete it."""
        operator_actions.delete_policy(policy=obj, by=person_of(request))


def _may(request: HttpRequest, policy: IdlePolicy) -> bool:
    return operator_actions.may_set_policy(organization=policy.organization, by=person_of(request))
