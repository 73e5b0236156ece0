"""Who may see what of the operators' pages. In paths `{object}` is the id of one row of that table."""

from tests.access.entries import Visit, everybody, operators, operators_late

TABLES = {
    "accounts/accesstoken": ("revoke_one",),
    "accounts/apikey": ("revoke_one",),
    "accounts/auditevent": (),
    "accounts/clilogin": (),
    "accounts/departure": ("restore_one", "wrong_one", "ask_again_one"),
    "accounts/invitation": (),
    "accounts/organization": ("suspend_one", "restore_one"),
    "accounts/issuerorganization": (),
    "accounts/issuerperson": (),
    "accounts/user": ("approve_one", "suspend_one", "restore_one", "revoke_one"),
    "clouddev/cronjob": (),
    "clouddev/cronrun": (),
    "clouddev/idlepolicy": (),
    "clouddev/machine": ("start_one", "stop_one", "transfer_one", "destroy_one"),
    "clouddev/webhooktoken": ("revoke_one",),
    "deployments/build": ("cancel_one", "redeploy_one"),
    "deployments/deployment": ("destroy_one",),
    "fly/discrepancy": (),
    "fly/flyapp": (),
    "integrations/connection": (),
    "integrations/credentialuse": (),
    "integrations/strangeconnection": (),
    "procrastinate/procrastinatejob": (),
}

# What is typed before the button is pressed.
_TYPED = {
    ("clouddev/machine", "transfer_one"): {"login": "alice"},
    ("clouddev/machine", "destroy_one"): {"name": "studio"},
    ("deployments/deployment", "destroy_one"): {"name": "shop"},
}
# What only superusers may do.
_SUPERUSERS = {("clouddev/machine", "transfer_one")}
# Django's own page for adding and deleting what operators edit.
_EDITED = {"clouddev/idlepolicy"}


def _table(name: str, actions: tuple[str, ...]) -> dict[str, list[Visit]]:
    root = f"admin/{name}/"
    at = f"/admin/{name}/{{object}}/"
    is_edited = name in _EDITED
    adds, adds_as_superuser = 200 if is_edited else 403, 200 if is_edited or name == "accounts/user" else 403
    deletes, deleted = (200, f"/{root}") if is_edited else (403, 403)
    visits = {
        root: [Visit("GET", f"/{root}", operators(f"/{root}", 200))],
        f"{root}add/": [Visit("GET", f"/{root}add/", operators(f"/{root}add/", adds, adds_as_superuser))],
        f"{root}<path:object_id>/history/": [Visit("GET", f"{at}history/", operators(f"{at}history/", 200))],
        f"{root}<path:object_id>/delete/": [
            Visit("GET", f"{at}delete/", operators(f"{at}delete/", deletes)),
            Visit("POST", f"{at}delete/", operators(f"{at}delete/", deleted), form={"post": "yes"}),
        ],
        f"{root}<path:object_id>/change/": [Visit("GET", f"{at}change/", operators(f"{at}change/", 200))],
        f"{root}<path:object_id>/": [Visit("GET", at, operators(at, f"{at}change/"))],
    }
    for action in actions:
        asks, leads = (403, 403) if (name, action) in _SUPERUSERS else (200, f"{at}change/")
        visits[f"{root}<path:object_id>/{action}/"] = [
            Visit("GET", f"{at}{action}/", operators(f"{at}{action}/", asks, 200)),
            Visit(
                "POST",
                f"{at}{action}/",
                operators(f"{at}{action}/", leads, f"{at}change/"),
                form=_TYPED.get((name, action), {}),
            ),
        ]
    return visits


_PASSWORD = "/admin/accounts/user/{object}/password/"
_SET_PASSWORD = "/admin/accounts/user/{object}/set_password/"
ADMIN: dict[str, list[Visit]] = {
    "admin/": [Visit("GET", "/admin/", operators("/admin/", 200))],
    "admin/explain/": [Visit("GET", "/admin/explain/", operators_late("/admin/explain/", 200))],
    "admin/search/": [Visit("GET", "/admin/search/?s=alice", operators_late("/admin/search/%3Fs%3Dalice", 200))],
    "admin/login/": [
        Visit(
            "GET",
            "/admin/login/",
            everybody(200, alice=403, member=403, bob=403, operator="/admin/", superuser="/admin/"),
        )
    ],
    "admin/logout/": [
        Visit(
            "POST",
            "/admin/logout/",
            {**operators("/admin/", "/auth/sign-in"), "alice": "/admin/", "member": "/admin/", "bob": "/admin/"},
        )
    ],
    "admin/password_change/": [
        Visit("GET", "/admin/password_change/", operators("/admin/password_change/", 200)),
    ],
    "admin/password_change/done/": [
        Visit("GET", "/admin/password_change/done/", operators("/admin/password_change/done/", 200)),
    ],
    "admin/autocomplete/": [
        Visit(
            "GET",
            "/admin/autocomplete/?app_label=integrations&model_name=connection&field_name=owner",
            operators(
                "/admin/autocomplete/%3Fapp_label%3Dintegrations%26model_name%3Dconnection%26field_name%3Downer", 200
            ),
        )
    ],
    "admin/jsi18n/": [Visit("GET", "/admin/jsi18n/", operators("/admin/jsi18n/", 200))],
    "admin/accounts/user/<id>/password/": [
        Visit("GET", _PASSWORD, operators_late(_PASSWORD, 403, 200)),
        Visit("POST", _PASSWORD, operators_late(_PASSWORD, 403, 200), form={"password1": "x", "password2": "y"}),
    ],
    "admin/accounts/user/<path:object_id>/set_password/": [
        Visit("GET", _SET_PASSWORD, operators(_SET_PASSWORD, _PASSWORD)),
    ],
    "admin/^(?P<app_label>procrastinate|accounts|fly|integrations|deployments|clouddev)/$": [
        Visit("GET", "/admin/accounts/", operators("/admin/accounts/", 200)),
    ],
    "admin/(?P<url>.*)$": [
        Visit("GET", "/admin/no-such-thing/", operators("/admin/no-such-thing/", 404)),
        # Django's "view on site", which stumbles over ids that are no numbers.
        Visit("GET", "/admin/r/1/1/", operators("/admin/r/1/1/", 404)),
    ],
}
for _name, _actions in TABLES.items():
    ADMIN |= _table(_name, _actions)
