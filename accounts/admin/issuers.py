"""What is known here of the trusted issuer's people and organizations, for operators; to be read only."""

from typing import ClassVar

from django.contrib import admin

from accounts.models import IssuerOrganization, IssuerPerson
from core.admin import OperatorAdmin


@admin.register(IssuerPerson)
class IssuerPersonAdmin(OperatorAdmin):
    """Who came with a token or key of the trusted application. They are suspended on their own page, as people are."""

    empty_list_text: ClassVar[str] = "Nobody matches. People appear with their first token of the trusted application."
    list_display = ("name", "email", "subject", "user", "seen_at", "created_at")
    list_filter = ("seen_at", "created_at")
    list_select_related = ("user",)
    search_fields = ("subject__exact", "name", "email", "user__username")
    search_help_text = "Subject, name, e-mail address or username"
    ordering = ("-seen_at", "-pk")
    fieldsets = (
        (None, {"fields": ("user", "name", "email")}),
        ("There", {"fields": ("issuer", "subject", "created_at", "seen_at", "valid_from")}),
    )


@admin.register(IssuerOrganization)
class IssuerOrganizationAdmin(OperatorAdmin):
    """The organizations in which the trusted application's tokens may act."""

    empty_list_text: ClassVar[str] = "None. CONFIG_FILE lists some, or `manage.py bind_organization` adds one."
    list_display = ("organization", "issuer", "foreign_id", "created_at")
    list_select_related = ("organization",)
    search_fields = ("organization__slug", "foreign_id__exact")
    search_help_text = "Slug, or the issuer's own id"
    ordering = ("organization__slug", "pk")
    fieldsets = ((None, {"fields": ("organization", "issuer", "foreign_id", "created_at")}),)
