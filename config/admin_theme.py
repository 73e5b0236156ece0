"""The operators' admin: its names, colours and menu (django-unfold)."""

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy


def _item(title: str, icon: str, name: str) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{name}")}


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "crayon server",
    "SITE_HEADER": "crayon server",
    "SITE_SUBHEADER": "Operators",
    "SITE_URL": "/",
    "SITE_ICON": lambda _request: static("crayon.svg"),
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda _request: static("crayon.svg")}],
    "STYLES": [lambda _request: static("crayon-admin.css")],
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "8px",
    "DASHBOARD_CALLBACK": "config.admin_site.front_page",
    "LOGIN": {"form": "accounts.forms.OperatorSignInForm"},
    # The accent of the other pages, from light to dark.
    "COLORS": {
        "primary": {
            "50": "oklch(97% .014 270)",
            "100": "oklch(94% .03 270)",
            "200": "oklch(88% .06 270)",
            "300": "oklch(80% .1 270)",
            "400": "oklch(71% .14 270)",
            "500": "oklch(62% .19 268)",
            "600": "oklch(52% .2 268)",
            "700": "oklch(46% .19 268)",
            "800": "oklch(39% .16 268)",
            "900": "oklch(33% .12 268)",
            "950": "oklch(25% .08 268)",
        },
    },
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": [
            {"title": None, "items": [_item("Today", "space_dashboard", "index")]},
            {
                "title": "People",
                "items": [
                    _item("People", "group", "accounts_user_changelist"),
                    _item("Organizations", "domain", "accounts_organization_changelist"),
                    _item("Leavers", "door_open", "accounts_departure_changelist"),
                    _item("Invitations", "mail", "accounts_invitation_changelist"),
                    _item("People elsewhere", "travel_explore", "accounts_issuerperson_changelist"),
                    _item("Organizations elsewhere", "domain_verification", "accounts_issuerorganization_changelist"),
                ],
            },
            {
                "title": "Access",
                "items": [
                    _item("Access tokens", "key", "accounts_accesstoken_changelist"),
                    _item("API keys", "vpn_key", "accounts_apikey_changelist"),
                    _item("CLI logins", "terminal", "accounts_clilogin_changelist"),
                ],
            },
            {
                "title": "Integrations",
                "items": [
                    _item("Connections", "hub", "integrations_connection_changelist"),
                    _item("Credential use", "visibility", "integrations_credentialuse_changelist"),
                ],
            },
            {
                "title": "Deployments",
                "items": [
                    _item("Deployments", "deployed_code", "deployments_deployment_changelist"),
                    _item("Builds", "construction", "deployments_build_changelist"),
                    _item("Apps at Fly", "cloud", "fly_flyapp_changelist"),
                    _item("Discrepancies", "difference", "fly_discrepancy_changelist"),
                    _item("Jobs", "work_history", "procrastinate_procrastinatejob_changelist"),
                ],
            },
            {
                "title": "Workspaces",
                "items": [
                    _item("Workspaces", "computer", "clouddev_machine_changelist"),
                    _item("Webhook tokens", "webhook", "clouddev_webhooktoken_changelist"),
                    _item("Cron jobs", "schedule", "clouddev_cronjob_changelist"),
                    _item("Cron runs", "update", "clouddev_cronrun_changelist"),
                    _item("Idle policies", "bedtime", "clouddev_idlepolicy_changelist"),
                ],
            },
            {
                "title": "Trail",
                "items": [
                    _item("Audit trail", "history", "accounts_auditevent_changelist"),
                    _item("Who may do what", "policy", "explain"),
                ],
            },
        ],
    },
}
