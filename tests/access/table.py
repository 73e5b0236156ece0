"""Who may call what: one entry for every address of the server.

An entry is (method, path, body) and what each kind of caller gets. In paths and bodies `{connection}`
is alice's connection, `{token}` and `{session}` the ids of her app and browser, `{code}` and
`{secret}` of her CLI login, `{app}` and `{build}` the ids of her deployed app "shop" and its build,
`{machine}` the id of her machine "studio", `{dev}` its name at Fly, `{dev_ui}` where its dev UI lets people in,
and `{job}` the id of its cron job.
`absent` is the same question about a thing that isn't there: whoever gets a 404 for alice's must get
that very answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Callers of the API: by what they send. `browser` is alice's session cookie without a token.
CALLERS = (
    "alice", "bob", "charlie", "nobody", "browser", "garbled", "unknown",
    "expired", "revoked", "suspended", "waitlisted", "left",
)  # fmt: skip
# Visitors of pages: by whose session they have. `token` is alice's access token without a session.
VISITORS = ("alice", "bob", "nobody", "token", "suspended", "waitlisted", "operator", "superuser")
LOGIN, OPERATORS = "/auth/sign-in?next=", "/admin/login/?next="


@dataclass(frozen=True)
class Call:
    """One route of the JSON API, one method."""

    method: str
    path: str
    statuses: Mapping[str, int]
    body: Mapping[str, Any] | None = None
    absent: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Visit:
    """One page, one method. A status with an address is a redirect to it."""

    method: str
    path: str
    statuses: Mapping[str, int | str]
    form: Mapping[str, str] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)


def public(status: int) -> dict[str, int]:
    """The same for everybody, whatever they send along."""
    return dict.fromkeys(CALLERS, status)


def with_token(*, alice: int, others: int) -> dict[str, int]:
    """Only with a token that works; `others` is what bob and charlie get for alice's thing."""
    closed = dict.fromkeys(("nobody", "browser", "garbled", "unknown", "expired", "revoked"), 401)
    shut_out = dict.fromkeys(("suspended", "waitlisted", "left"), 403)
    return {"alice": alice, "bob": others, "charlie": others, **closed, **shut_out}


_ADDRESS = {"integration_id": "acme", "connection_id": "{connection}"}
_NO_SHOP = {"shop": "no-such-app"}
_STUDIO, _NO_STUDIO = {"appName": "studio"}, {"studio": "no-such-machine"}
_STUDIO_AND_ALICE = {**_STUDIO, "login": "alice"}
_NO_DEV = {"{dev}": "crayon-dev-00000000"}
_JOB, _NO_JOB = "/api/cron/jobs/{job}", {"{job}": "00000000-0000-4000-8000-00000000cccc"}
_NO_SUCH = {"{connection}": "no-such-connection", "acme": "slack"}


def _of_machine(method: str, path: str, body: Mapping[str, Any] | None = None, *, alice: int = 200) -> Call:
    """A call about alice's machine, which for everybody else isn't there."""
    statuses = with_token(alice=alice, others=404)
    return Call(method, f"/api/cloud-dev/{path}", statuses, body=body, absent=_NO_STUDIO)


CALLS: dict[str, list[Call]] = {
    "_/health": [Call("GET", "/_/health", public(200))],
    "_/ready": [Call("GET", "/_/ready", public(200))],
    "api/auth/cli/session": [Call("POST", "/api/auth/cli/session", public(200), body={})],
    "api/auth/cli/check": [
        Call("GET", "/api/auth/cli/check?code={code}&secret={secret}", public(200)),
        Call("GET", "/api/auth/cli/check?code={code}&secret=00000000000000000000000000000000", public(403)),
    ],
    "api/auth/logout": [Call("POST", "/api/auth/logout", with_token(alice=200, others=200))],
    "api/integrations": [Call("GET", "/api/integrations", with_token(alice=200, others=200))],
    "api/integrations/<str:integration_id>/connections": [
        Call(
            "GET",
            "/api/integrations/acme/connections",
            with_token(alice=200, others=200),
            absent={"acme": "slack"},
        )
    ],
    "api/credentials/<str:integration_id>": [
        Call(
            "GET",
            "/api/credentials/acme?connection_id={connection}",
            with_token(alice=200, others=404),
            absent=_NO_SUCH,
        )
    ],
    "api/nango/connect-session": [
        Call("POST", "/api/nango/connect-session", with_token(alice=200, others=200), body={"integration_id": "acme"}),
        Call(
            "POST",
            "/api/nango/connect-session",
            with_token(alice=200, others=404),
            body=_ADDRESS,
            absent=_NO_SUCH,
        ),
    ],
    "api/connections/create": [
        Call(
            "POST",
            "/api/connections/create",
            # The id is the caller's choice, so that it is taken can't be hidden.
            with_token(alice=200, others=409),
            body={**_ADDRESS, "credentials": {"apiKey": "not-a-secret"}},
        )
    ],
    "api/connections/delete": [
        Call("POST", "/api/connections/delete", with_token(alice=200, others=404), body=_ADDRESS, absent=_NO_SUCH)
    ],
    # What somebody else prepares is an app of their own.
    "api/deploy/prepare": [
        Call("POST", "/api/deploy/prepare", with_token(alice=200, others=200), body={"appName": "shop"})
    ],
    "api/deploy/push": [
        Call(
            "POST",
            "/api/deploy/push",
            # The archive holds nothing, which alice alone is told.
            with_token(alice=400, others=404),
            body={"appName": "shop", "archive": ""},
            absent=_NO_SHOP,
        )
    ],
    # An app of somebody else has the status of one that was never there.
    "api/deploy/status": [
        Call("GET", "/api/deploy/status?appName=shop", with_token(alice=200, others=200), absent=_NO_SHOP)
    ],
    "api/deploy/logs": [
        Call("GET", "/api/deploy/logs?appName=shop", with_token(alice=200, others=404), absent=_NO_SHOP)
    ],
    "api/deploy/cancel": [
        Call(
            "POST",
            "/api/deploy/cancel",
            with_token(alice=200, others=404),
            body={"appName": "shop"},
            absent=_NO_SHOP,
        )
    ],
    "api/deploy/builds": [
        Call("GET", "/api/deploy/builds?appName=shop", with_token(alice=200, others=404), absent=_NO_SHOP)
    ],
    # What somebody else creates is a machine of their own.
    "api/cloud-dev/create": [
        Call(
            "POST",
            "/api/cloud-dev/create",
            with_token(alice=200, others=200),
            body={**_STUDIO, "envVars": {"DATABASE_URL": "postgresql://127.0.0.1/own"}},
        )
    ],
    "api/cloud-dev/list": [Call("GET", "/api/cloud-dev/list", with_token(alice=200, others=200))],
    # A machine of somebody else has the status of one that was never there.
    "api/cloud-dev/status": [
        Call("GET", "/api/cloud-dev/status?appName=studio", with_token(alice=200, others=200), absent=_NO_STUDIO)
    ],
    "api/cloud-dev/start": [_of_machine("POST", "start", _STUDIO)],
    "api/cloud-dev/stop": [_of_machine("POST", "stop", _STUDIO)],
    "api/cloud-dev/destroy": [_of_machine("POST", "destroy", _STUDIO)],
    "api/cloud-dev/keep-alive": [_of_machine("POST", "keep-alive", {**_STUDIO, "until": None})],
    "api/cloud-dev/ssh-key": [_of_machine("GET", "ssh-key?appName=studio")],
    "api/cloud-dev/mcp-token": [_of_machine("GET", "mcp-token?appName=studio")],
    "api/cloud-dev/webhook-token": [_of_machine("POST", "webhook-token", _STUDIO)],
    "api/cloud-dev/members": [
        _of_machine("GET", "members?appName=studio"),
        _of_machine("POST", "members", {**_STUDIO_AND_ALICE, "role": "owner"}),
        # A machine needs its owner, which alice alone is told.
        _of_machine("DELETE", "members", _STUDIO_AND_ALICE, alice=409),
    ],
    "api/cron/jobs": [
        Call("GET", "/api/cron/jobs?flyAppName={dev}", with_token(alice=200, others=404), absent=_NO_DEV),
        Call(
            "POST",
            "/api/cron/jobs",
            with_token(alice=201, others=404),
            body={"flyAppName": "{dev}", "workflowName": "weekly", "cronExpression": "@weekly", "timezone": "UTC"},
            absent=_NO_DEV,
        ),
    ],
    "api/cron/jobs/<uuid:job_id>": [
        Call("PATCH", _JOB, with_token(alice=200, others=404), body={"paused": True}, absent=_NO_JOB),
        Call("DELETE", _JOB, with_token(alice=200, others=404), absent=_NO_JOB),
    ],
    "api/cron/jobs/<uuid:job_id>/runs": [
        Call("GET", f"{_JOB}/runs", with_token(alice=200, others=404), absent=_NO_JOB)
    ],
    "api/cloud-dev/transfer": [_of_machine("POST", "transfer", _STUDIO_AND_ALICE)],
    # Nango is known by its signature; a person's token opens nothing here.
    "webhooks/nango": [Call("POST", "/webhooks/nango", public(401), body={"type": "auth"})],
    "api/docs": [Call("GET", "/api/docs", public(200))],
    "api/docs/openapi.json": [Call("GET", "/api/docs/openapi.json", public(200))],
}


def everybody(status: int | str, **others: int | str) -> dict[str, int | str]:
    """The same for all, but for those named."""
    return {**dict.fromkeys(VISITORS, status), **others}


def signed_in(path: str, status: int | str, **others: int | str) -> dict[str, int | str]:
    """Open to everybody who is signed in and not shut out; the others are asked to sign in."""
    closed = dict.fromkeys(("nobody", "token", "suspended", "waitlisted"), f"{LOGIN}{path}")
    return {**everybody(status), **closed, **others}


def operators(path: str, status: int | str, superuser: int | str | None = None) -> dict[str, int | str]:
    """Open to operators; everybody else is sent to the operators' sign-in."""
    return everybody(f"{OPERATORS}{path}", operator=status, superuser=status if superuser is None else superuser)


def operators_late(path: str, status: int | str, superuser: int | str | None = None) -> dict[str, int | str]:
    """The same where a stranger meets our own sign-in first."""
    strangers = dict.fromkeys(("nobody", "token", "suspended", "waitlisted"), f"{LOGIN}{path}")
    return {**operators(path, status, superuser), **strangers}


_HOME = "/account/apps"
_REVOKE, _NO_APP = "/account/apps/{token}/revoke", {"{token}": "00000000-0000-4000-8000-00000000aaaa"}
_END, _NO_BROWSER = "/account/browsers/{session}/end", {"{session}": "987654321"}
_DEV_UI, _DEV_UI_QUOTED = "/auth/dev-ui?app={dev}", "/auth/dev-ui%3Fapp%3D{dev}"
_APPS, _APP = "/deployments/", "/deployments/{app}/"
_BUILD, _NO_BUILD = "/deployments/{app}/builds/{build}", {"{build}": "00000000-0000-4000-8000-00000000bbbb"}
_NO_DEPLOYMENT = {"{app}": "00000000-0000-4000-8000-00000000aaaa"}
_DESTROY, _NEWS = f"{_APP}destroy", f"{_BUILD}/news"
_CANCEL, _REDEPLOY = f"{_BUILD}/cancel", f"{_BUILD}/redeploy"

VISITS: dict[str, list[Visit]] = {
    "": [
        Visit(
            "GET", "/", everybody("/workspaces/", **dict.fromkeys(("nobody", "token", "suspended", "waitlisted"), 200))
        )
    ],
    "admin": [Visit("GET", "/admin", everybody("/admin/"))],
    "auth/sign-in": [
        Visit(
            "GET",
            "/auth/sign-in",
            everybody("/workspaces/", **dict.fromkeys(("nobody", "token", "suspended", "waitlisted"), 200)),
        )
    ],
    "auth/sign-out": [Visit("POST", "/auth/sign-out", everybody("/auth/sign-in"))],
    "auth/shut-out": [Visit("GET", "/auth/shut-out", everybody("/auth/sign-in"))],
    "auth/address-taken": [Visit("GET", "/auth/address-taken", everybody("/auth/sign-in"))],
    "auth/github": [
        Visit("GET", "/auth/github", everybody("/auth/sign-in")),
        Visit("POST", "/auth/github", everybody("{github}")),
    ],
    "auth/cli": [
        Visit("GET", "/auth/cli?cli_code={code}", everybody(200)),
        Visit(
            "POST",
            "/auth/cli",
            everybody(
                200, **dict.fromkeys(("nobody", "token", "suspended", "waitlisted"), "/auth/cli?cli_code={code}")
            ),
            form={"cli_code": "{code}", "decision": "approve"},
        ),
    ],
    "auth/dev-ui": [
        Visit("GET", _DEV_UI, signed_in(_DEV_UI_QUOTED, 403, alice="{dev_ui}"), absent={"{dev}": "crayon-dev-00000000"})
    ],
    "account/apps": [Visit("GET", _HOME, signed_in(_HOME, 200))],
    "account/apps/<uuid:token_id>/revoke": [
        Visit("POST", _REVOKE, signed_in(_REVOKE, 404, alice=_HOME), absent=_NO_APP),
        Visit("GET", _REVOKE, signed_in(_REVOKE, 405)),
    ],
    "account/browsers/<int:session_id>/end": [
        Visit("POST", _END, signed_in(_END, 404, alice=_HOME), absent=_NO_BROWSER),
        Visit("GET", _END, signed_in(_END, 405)),
    ],
    "account/revoke-all": [
        Visit("POST", "/account/revoke-all", signed_in("/account/revoke-all", "/auth/sign-in")),
        Visit("GET", "/account/revoke-all", signed_in("/account/revoke-all", 405)),
    ],
    "deployments": [Visit("GET", "/deployments", signed_in("/deployments", _APPS))],
    "deployments/": [Visit("GET", _APPS, signed_in(_APPS, 200))],
    "deployments/<uuid:deployment_id>/": [
        Visit("GET", _APP, signed_in(_APP, 404, alice=200), absent=_NO_DEPLOYMENT),
    ],
    "deployments/<uuid:deployment_id>/logs": [
        Visit("GET", f"{_APP}logs", signed_in(f"{_APP}logs", 404, alice=200), absent=_NO_DEPLOYMENT),
    ],
    "deployments/<uuid:deployment_id>/destroy": [
        Visit("POST", _DESTROY, signed_in(_DESTROY, 404, alice=_APPS), form={"name": "shop"}, absent=_NO_DEPLOYMENT),
        Visit("GET", _DESTROY, signed_in(_DESTROY, 405)),
    ],
    "deployments/<uuid:deployment_id>/builds/<uuid:build_id>": [
        Visit("GET", _BUILD, signed_in(_BUILD, 404, alice=200), absent=_NO_BUILD),
    ],
    "deployments/<uuid:deployment_id>/builds/<uuid:build_id>/news": [
        Visit("GET", _NEWS, signed_in(_NEWS, 404, alice=200), absent=_NO_BUILD),
    ],
    "deployments/<uuid:deployment_id>/builds/<uuid:build_id>/cancel": [
        Visit("POST", _CANCEL, signed_in(_CANCEL, 404, alice=_BUILD), absent=_NO_BUILD),
        Visit("GET", _CANCEL, signed_in(_CANCEL, 405)),
    ],
    # The build has made no image: alice is led back to it and told so.
    "deployments/<uuid:deployment_id>/builds/<uuid:build_id>/redeploy": [
        Visit("POST", _REDEPLOY, signed_in(_REDEPLOY, 404, alice=_BUILD), absent=_NO_BUILD),
        Visit("GET", _REDEPLOY, signed_in(_REDEPLOY, 405)),
    ],
    "api/auth/github/callback": [Visit("GET", "/api/auth/github/callback?code=x&state=y", everybody(400))],
    "api/auth/callback/github": [Visit("GET", "/api/auth/callback/github?code=x&state=y", everybody(400))],
}
