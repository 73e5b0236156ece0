"""Machines, for operators. Keys and what is sealed of an environment are never shown."""

from typing import ClassVar

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.models import User
from clouddev.models import Machine, Member, Offer, WebhookToken
from clouddev.services import filters, operator_actions
from core.admin import ChoiceFilter, OperatorAdmin, OperatorInline
from core.admin_actions import AdminAction, AdminActionForm, bulk_action, row_action

State = Machine.State


def _named(machine: Machine) -> str:
    return f"the workspace {machine.app_name} of {machine.owner.get_short_name()} ({machine.fly_app_id})"


_START = AdminAction(
    title="Start",
    required_action="admin.start-workspace",
    icon="play_arrow",
    variant=ActionVariant.PRIMARY,
    question="Start {}?",
    named=_named,
    explanation="Fly starts it, unless it runs.",
    do=lambda machine, by: operator_actions.start(machine=machine, by=by, now=timezone.now()),
    done="{} is starting.",
    not_done="{} runs already.",
)
_STOP = AdminAction(
    title="Stop",
    required_action="admin.stop-workspace",
    icon="stop",
    variant=ActionVariant.WARNING,
    question="Stop {}?",
    named=_named,
    explanation="What runs on it ends; its files and its database stay. Whoever opens it starts it again.",
    do=lambda machine, by: operator_actions.stop(machine=machine, by=by, now=timezone.now()),
    done="{} is stopping.",
    not_done="{} is stopped already.",
)


_DESTROY = AdminAction(
    title="Destroy",
    required_action="admin.destroy-workspace",
    icon="delete_forever",
    variant=ActionVariant.DANGER,
    question="Destroy {}?",
    named=_named,
    is_grave=True,
    typed=lambda machine: str(machine.app_name),
    explanation="It is removed at Fly with its files, and so is its database. This can't be undone.",
    explanation_of_many="They are removed at Fly with their files, and so are their databases. This can't be undone.",
    do=lambda machine, by: operator_actions.destroy(machine=machine, by=by),
    done="{} is being destroyed.",
    not_done="{} was being destroyed before.",
)


class TransferForm(AdminActionForm):
    """Whose machine it is to be."""

    login = forms.CharField(
        label="GitHub login of the new owner",
        max_length=100,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
    )

    def clean_login(self) -> str:
        """As people write it, with an @ or without."""
        return str(self.cleaned_data["login"]).strip().removeprefix("@")


_TRANSFER = AdminAction(
    title="Transfer",
    required_action="admin.transfer-workspace",
    icon="move_item",
    variant=ActionVariant.DANGER,
    is_grave=True,
    question="Transfer {} to somebody else?",
    named=_named,
    explanation="It counts as theirs at once, without their consent, where they have room for it, and its key opens it "
    "for them. Its owner of now stays a member.",
    form=TransferForm,
    do=lambda machine, by, login: operator_actions.transfer(machine=machine, login=login, by=by, now=timezone.now()),
    done="{} is {login}'s now.",
    not_done="{} was {login}'s before.",
)


class KindFilter(ChoiceFilter):
    """What an operator looks for."""

    title = "what"
    parameter_name = "what"

    def conditions(self) -> dict[str, tuple[str, Q]]:
        """The kinds of machines, as of now."""
        now = timezone.now()
        return {kind.value: (kind.label, filters.machines_of_kind(kind, now=now)) for kind in filters.Kind}


class MemberInline(OperatorInline):
    """Who may use it."""

    model = Member
    fields = ("user", "role", "linux_user", "created_at")
    readonly_fields = fields
    hide_title = True
    verbose_name_plural = "members"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Member]:
        """With the people, in one query."""
        queryset: QuerySet[Member] = super().get_queryset(request)
        return queryset.select_related("user", "machine")


class OfferInline(OperatorInline):
    """Who may become a member, or have it, by accepting; people decide about these themselves."""

    model = Offer
    fields = ("recipient", "kind", "role", "made_by", "created_at", "expires_at")
    readonly_fields = fields
    hide_title = True
    per_page = 20
    verbose_name_plural = "offers"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Offer]:
        """With the people, in one query."""
        queryset: QuerySet[Offer] = super().get_queryset(request)
        return queryset.select_related("recipient", "made_by", "machine")


class TokenInline(OperatorInline):
    """Its webhook tokens; each has a page of its own, where it is revoked."""

    model = WebhookToken
    fields = ("made_by", "created_at", "expires_at", "revoked_at")
    readonly_fields = fields
    show_change_link = True
    per_page = 20
    verbose_name_plural = "webhook tokens"

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookToken]:
        """With the people, in one query."""
        queryset: QuerySet[WebhookToken] = super().get_queryset(request)
        return queryset.select_related("made_by", "machine")


@admin.register(Machine)
class MachineAdmin(OperatorAdmin):
    """Who has which machine, and how it is."""

    empty_list_text: ClassVar[str] = "No workspace matches. One is made when somebody runs `crayon cloud run`."
    list_display = ("app_name", "owner", "badge", "at_fly", "region", "size", "age", "last_used")
    list_filter = (
        KindFilter,
        "state",
        "region",
        ("owner", AutocompleteSelectFilter),
        ("organization", AutocompleteSelectFilter),
        "created_at",
        "last_active_at",
    )
    list_select_related = ("owner", "fly_app")
    search_fields = (
        "app_name",
        "fly_app__name",
        "fly_machine_id__exact",
        "members__user__github_login",
        "owner__username",
        "owner__email",
        "id__exact",
    )
    search_help_text = "Workspace, name at Fly or person"
    ordering = ("-created_at",)
    fieldsets = (
        (None, {"fields": ("app_name", "badge", "step", "error", "differs", "id")}),
        ("Whose", {"fields": ("owner", "organization", "dev_user")}),
        (
            "At Fly",
            {"fields": ("fly_app", "address", "at_fly", "wanted", "region", "size", "fly_machine_id", "volume_id")},
        ),
        ("Database", {"fields": ("database_schema", "database_host")}),
        (
            "When",
            {"fields": ("created_at", "ready_at", "last_active_at", "keep_alive_until", "warned_at")},
        ),
        ("The worker", {"fields": ("attempt", "heartbeat_at")}),
    )
    inlines = (MemberInline, OfferInline, TokenInline)
    actions = ("start_selected", "stop_selected", "destroy_selected")
    actions_detail = ("start_one", "stop_one", "transfer_one", "destroy_one")
    start_one, start_selected = row_action(_START), bulk_action(_START)
    stop_one, stop_selected = row_action(_STOP), bulk_action(_STOP)
    transfer_one = row_action(_TRANSFER)
    destroy_one, destroy_selected = row_action(_DESTROY), bulk_action(_DESTROY)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Machine]:
        """All machines, without what must not be shown."""
        queryset: QuerySet[Machine] = super().get_queryset(request)
        return queryset.defer("sealed_ssh_key", "sealed_environment", "ssh_public_key")

    @display(  # type: ignore[untyped-decorator]
        description="State",
        ordering="state",
        label={
            "creating": "info",
            "ready": "success",
            "undoing": "warning",
            "failed": "danger",
            "destroying": "warning",
        },
    )
    def badge(self, machine: Machine) -> str:
        """As the row has it."""
        return str(machine.state)

    @display(  # type: ignore[untyped-decorator]
        description="At Fly",
        ordering="fly_state",
        label={"started": "success", "starting": "info", "created": "info", "failed": "danger"},
    )
    def at_fly(self, machine: Machine) -> str:
        """Fly's word, as it was last heard."""
        return machine.fly_state or "—"

    @display(description="Size")  # type: ignore[untyped-decorator]
    def size(self, machine: Machine) -> str:
        """What it was made with."""
        if machine.cpus is None or machine.memory_mb is None:
            return "—"
        return f"{machine.cpus} shared CPUs, {machine.memory_mb} MB"

    @display(description="Age", ordering="-created_at")  # type: ignore[untyped-decorator]
    def age(self, machine: Machine) -> str:
        """How long ago it was asked for."""
        return timesince(machine.created_at, depth=1)

    @display(description="Last used", ordering="last_active_at")  # type: ignore[untyped-decorator]
    def last_used(self, machine: Machine) -> str:
        """How long nobody has used it."""
        return f"{timesince(machine.last_active_at, depth=1)} ago" if machine.last_active_at else "—"

    @display(description="Address")  # type: ignore[untyped-decorator]
    def address(self, machine: Machine) -> SafeString:
        """Where it answers."""
        return format_html('<a class="text-link" href="{0}" rel="noreferrer">{0}</a>', machine.url)

    @display(description="Differs at Fly")  # type: ignore[untyped-decorator]
    def differs(self, machine: Machine) -> SafeString | str:
        """What the last comparison with Fly found about its app."""
        found = filters.differences_of(machine)
        path = reverse("admin:fly_discrepancy_changelist")
        if not found:
            return "no, as far as we know"
        return format_html('<a class="text-link" href="{}?q={}">{}</a>', path, machine.fly_app_id, found[0].sentence)

    def sensible_actions(self, row: Machine, by: User) -> dict[str, bool]:
        """Starting and stopping what is ready, and nothing with what is on its way out."""
        if not operator_actions.may(machine=row, by=by):
            return {}
        is_ready, is_there = row.state == State.READY, row.state != State.DESTROYING
        return {
            "start_one": is_ready,
            "stop_one": is_ready,
            "transfer_one": is_there and by.is_superuser,
            "destroy_one": is_there,
        }
