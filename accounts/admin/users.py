"""People, for operators."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import AdminPasswordChangeForm, UserCreationForm

from accounts.current_user import person_of
from accounts.models import User
from accounts.services import operators
from accounts.services.operator_power import has_power
from core.actions import Required
from core.admin import ChoiceFilter, OperatorAdmin
from core.admin_actions import AdminAction, bulk_action, row_action

_STATES = {
    "active": ("Active", Q(is_active=True)),
    "waiting": ("Waiting", Q(is_active=False, waitlisted_at__isnull=False)),
    "suspended": ("Suspended", Q(is_active=False, waitlisted_at=None)),
}


def _named(person: User) -> str:
    known_as = dict.fromkeys(name for name in (person.get_short_name(), person.email) if name)
    return f"{person.display_name} ({', '.join(known_as)})"


_SUSPEND = AdminAction(
    title="Suspend",
    required_action="admin.suspend-person",
    icon="block",
    variant=ActionVariant.DANGER,
    is_grave=True,
    question="Suspend {}?",
    named=_named,
    explanation="Their browsers are signed out and none of their tokens and keys works until they are restored.",
    do=lambda person, by: operators.suspend(user=person, by=by),
    done="{} is suspended.",
    not_done="{} was not active.",
)
_RESTORE = AdminAction(
    title="Restore",
    required_action="admin.restore-person",
    icon="undo",
    variant=ActionVariant.SUCCESS,
    question="Restore {}?",
    named=_named,
    explanation="They can sign in again, and their tokens and keys that are neither expired nor revoked work again.",
    do=lambda person, by: operators.restore(user=person, by=by),
    done="{} is restored.",
    not_done="{} was not suspended.",
)
_APPROVE = AdminAction(
    title="Approve",
    required_action="admin.approve-person",
    icon="check",
    variant=ActionVariant.SUCCESS,
    question="Approve {}?",
    named=_named,
    explanation="They leave the waiting list and can sign in from now on.",
    do=lambda person, by: operators.approve(user=person, by=by),
    done="{} is approved.",
    not_done="{} was not waiting.",
)
_REVOKE = AdminAction(
    title="Revoke all sessions",
    required_action="admin.sign-out-person",
    icon="logout",
    variant=ActionVariant.DANGER,
    is_grave=True,
    question="Revoke all sessions of {}?",
    named=_named,
    explanation="Their tools and browsers are signed out, and their API keys revoked. They can sign in again at once.",
    do=lambda person, by: bool(operators.revoke_everything(user=person, by=by, now=timezone.now())),
    done="{} is signed out everywhere.",
    not_done="{} was signed in nowhere.",
)


class StateFilter(ChoiceFilter):
    """Active, waiting or suspended."""

    title = "state"
    parameter_name = "state"

    def conditions(self) -> dict[str, tuple[str, Q]]:
        """The states."""
        return _STATES


class NewOperatorForm(UserCreationForm):  # type: ignore[misc]  # unfold is untyped
    """A new operator with a password of their own; people who use GitHub simply sign in."""

    usable_password = None

    class Meta:
        """What a superuser types."""

        model = User
        fields = ("username", "email")


class PersonForm(forms.ModelForm):  # type: ignore[type-arg]
    """The names of a person's fields, for operators."""

    class Meta:
        """Ours where Django's say too much or too little."""

        model = User
        fields = ("is_staff", "is_superuser")
        labels = {"github_id": "GitHub id", "is_staff": "Operator", "is_superuser": "Superuser", "id": "ID"}
        help_texts = {
            "username": "",
            "is_staff": "May see these pages, suspend people and revoke their access.",
            "is_superuser": "May also make operators and set their passwords.",
        }


@admin.register(User)
class PersonAdmin(UserAdmin, OperatorAdmin):  # type: ignore[type-arg]  # unfold is untyped
    """Who signs in here. Suspending and the like are actions; only superusers make operators."""

    form = PersonForm
    add_form = NewOperatorForm
    change_password_form = AdminPasswordChangeForm
    empty_list_text: ClassVar[str] = "Nobody here matches. People appear with their first sign-in through GitHub."
    list_display = ("login", "name", "email", "state", "role", "date_joined", "last_login")
    list_display_links = ("login",)
    list_filter = (StateFilter, "is_staff", "is_superuser", "date_joined", "last_login")
    search_fields = ("github_login", "username", "email", "name", "id__exact")
    search_help_text = "GitHub login, username, name or e-mail address"
    ordering = ("-date_joined",)
    filter_horizontal = ()
    list_select_related = ()
    fieldsets = (
        (None, {"fields": ("login", "name", "email", "state", "waitlisted_at")}),
        ("Sign-in", {"fields": ("username", "github_login", "github_id", "date_joined", "last_login", "id")}),
        ("Operator", {"fields": ("is_staff", "is_superuser")}),
        ("What belongs to them", {"fields": ("related",)}),
    )
    add_fieldsets = ((None, {"fields": ("username", "email", "password1", "password2")}),)
    actions = ("suspend_selected", "restore_selected", "approve_selected", "revoke_selected")
    actions_detail = ("approve_one", "suspend_one", "restore_one", "revoke_one", "set_password")

    # --- what is shown ---

    @display(description="Login", ordering="github_login")  # type: ignore[untyped-decorator]
    def login(self, user: User) -> str:
        """The GitHub login, or what an operator without GitHub signs in with."""
        return user.get_short_name()

    @display(  # type: ignore[untyped-decorator]
        description="State",
        ordering="is_active",
        label={"active": "success", "waiting": "warning", "suspended": "danger"},
    )
    def state(self, user: User) -> str:
        """Active, waiting or suspended."""
        if user.is_active:
            return "active"
        return "waiting" if user.waitlisted_at else "suspended"

    @display(  # type: ignore[untyped-decorator]
        description="Role", ordering="is_staff", label={"superuser": "primary", "operator": "info"}
    )
    def role(self, user: User) -> str:
        """What the person may do on these pages."""
        return "superuser" if user.is_superuser else "operator" if user.is_staff else ""

    @display(description="See")  # type: ignore[untyped-decorator]
    def related(self, user: User) -> SafeString:
        """Where else the person appears."""
        key = str(user.pk)
        lists = (
            ("access tokens", "accounts_accesstoken", "user__id__exact"),
            ("CLI logins", "accounts_clilogin", "decided_by__id__exact"),
            ("connections", "integrations_connection", "owner__id__exact"),
            ("what they did", "accounts_auditevent", "actor_id__exact"),
            ("what was done to them", "accounts_auditevent", "target_id__exact"),
        )
        links = [
            format_html(
                '<a class="text-link" href="{}?{}={}">{}</a>',
                reverse(f"admin:{name}_changelist"),
                parameter,
                key,
                title,
            )
            for title, name, parameter in lists
        ]
        return SafeString(" · ".join(links))

    # --- who may do what ---

    required_actions: ClassVar[Mapping[str, Required]] = {
        "add": "admin.add-person",
        "change": {"GET": "admin.view", "POST": "admin.change-person"},
        "auth_user_password_change": "admin.set-password",
        # Leads to that one, and does nothing itself.
        "set_password": "admin.view",
    }

    def get_urls(self) -> list[URLPattern]:
        """Django's address for passwords, too, names what it does."""
        patterns: list[URLPattern] = super().get_urls()
        return self.with_actions(patterns)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Superusers add operators."""
        return bool(request.user.is_active and request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's signature
        """Superusers change roles and passwords."""
        return self.has_add_permission(request)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """All but the two roles, and those too on one's own page."""
        if obj is None:
            return ()
        shown = [str(field) for _, options in self.fieldsets for field in options["fields"]]
        editable = set() if obj.pk == request.user.pk else {"is_staff", "is_superuser"}
        return tuple(field for field in shown if field not in editable)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:  # noqa: ARG002
        """Save a new operator, or a changed role; nothing else is written."""
        by = person_of(request)
        if change:
            operators.set_role(user=obj, is_staff=obj.is_staff, is_superuser=obj.is_superuser, by=by)
        else:
            operators.add(user=obj, by=by)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One person."""
        context = {"show_save_and_add_another": False, "show_save_and_continue": False, **(extra_context or {})}
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002 - Django's name
        """Set an operator's password, with its audit row."""
        user = self.get_object(request, id)
        if user is None:
            return super().user_change_password(request, id, form_url)
        with operators.auditing_password_of(user_id=user.pk, by=person_of(request)):
            return super().user_change_password(request, id, form_url)

    # --- what operators do ---

    suspend_one, suspend_selected = row_action(_SUSPEND), bulk_action(_SUSPEND)
    restore_one, restore_selected = row_action(_RESTORE), bulk_action(_RESTORE)
    approve_one, approve_selected = row_action(_APPROVE), bulk_action(_APPROVE)
    revoke_one, revoke_selected = row_action(_REVOKE), bulk_action(_REVOKE)

    def sensible_actions(self, row: User, by: User) -> dict[str, bool]:
        """Only those that make sense in the person's state."""
        if not has_power(by=by, over=[row.pk]):
            return {}
        return {
            "approve_one": row.waitlisted_at is not None,
            "suspend_one": row.is_active and row.pk != by.pk,
            "restore_one": not row.is_active and row.waitlisted_at is None,
            "revoke_one": True,
            "set_password": by.is_superuser and row.is_staff,
        }

    @action(description="Set password", icon="password")  # type: ignore[untyped-decorator]
    def set_password(self, request: HttpRequest, object_id: str) -> HttpResponse:  # noqa: ARG002 - unfold's signature
        """Lead to the password form, which only superusers may use."""
        return redirect("admin:auth_user_password_change", object_id)
