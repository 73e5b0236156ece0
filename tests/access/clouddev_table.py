"""Who may call what of workspaces: their members use them, and their owners decide about them."""

from collections.abc import Mapping
from typing import Any

from tests.access.entries import Call, public, with_token

_STUDIO, _NO_STUDIO = {"appName": "studio"}, {"studio": "no-such-machine"}
_STUDIO_AND_ALICE = {**_STUDIO, "login": "alice"}
_NO_DEV = {"{dev}": "crayon-dev-00000000"}
_OFFER, _NO_OFFER = "/api/cloud-dev/offers/{offer}", {"{offer}": "00000000-0000-4000-8000-00000000eeee"}
_JOB, _NO_JOB = "/api/cron/jobs/{job}", {"{job}": "00000000-0000-4000-8000-00000000cccc"}


def _for_members(method: str, path: str, body: Mapping[str, Any] | None = None, *, status: int = 200) -> Call:
    """A call about alice's machine that its members may make; for everybody else it isn't there."""
    return _call(method, path, body, with_token(alice=status, member=status, others=404))


def _for_owners(method: str, path: str, body: Mapping[str, Any] | None = None, *, status: int = 200) -> Call:
    """A call that its owners alone may make: for a member, too, there is no such machine to decide about."""
    return _call(method, path, body, with_token(alice=status, others=404))


def _about_offer(action: str, **statuses: int) -> list[Call]:
    """A call about alice's offer to the member, which for everybody else isn't there."""
    known = with_token(alice=404, others=404, key=statuses.get("alice"))
    return [Call("POST", f"{_OFFER}/{action}", {**known, **statuses}, absent=_NO_OFFER)]


def _call(method: str, path: str, body: Mapping[str, Any] | None, statuses: Mapping[str, int]) -> Call:
    if path.startswith("/api/cron/"):
        return Call(method, path, statuses, body=body, absent=_NO_DEV | _NO_JOB)
    return Call(method, f"/api/cloud-dev/{path}", statuses, body=body, absent=_NO_STUDIO)


CLOUDDEV_CALLS: dict[str, list[Call]] = {
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
    # It is there, so that nothing is begun.
    "api/cloud-dev/try-again": [_for_owners("POST", "try-again", _STUDIO)],
    "api/cloud-dev/start": [_for_members("POST", "start", _STUDIO)],
    "api/cloud-dev/stop": [_for_members("POST", "stop", _STUDIO)],
    "api/cloud-dev/destroy": [_for_owners("POST", "destroy", _STUDIO)],
    "api/cloud-dev/keep-alive": [_for_owners("POST", "keep-alive", {**_STUDIO, "until": None})],
    "api/cloud-dev/ssh-key": [_for_members("GET", "ssh-key?appName=studio")],
    "api/cloud-dev/mcp-token": [_for_members("GET", "mcp-token?appName=studio")],
    "api/cloud-dev/webhook-token": [_for_members("POST", "webhook-token", _STUDIO)],
    # For machines, which have no token of ours; ids of tokens open nothing.
    "api/cloud-dev/revoked-tokens": [
        Call("GET", "/api/cloud-dev/revoked-tokens?app={dev}", public(200)),
        Call("GET", "/api/cloud-dev/revoked-tokens", public(400)),
    ],
    "api/cloud-dev/members": [
        _for_members("GET", "members?appName=studio"),
        _for_owners("POST", "members", {**_STUDIO_AND_ALICE, "role": "owner"}),
        _for_owners("POST", "members", {**_STUDIO, "login": "member", "role": "owner"}),
        _for_owners("POST", "members", {**_STUDIO, "login": "stranger"}),
        # A machine needs its owner, which alice alone is told.
        _for_owners("DELETE", "members", _STUDIO_AND_ALICE, status=409),
    ],
    "api/cloud-dev/transfer": [
        _for_owners("POST", "transfer", _STUDIO_AND_ALICE),
        _for_owners("POST", "transfer", {**_STUDIO, "login": "member"}),
    ],
    "api/cloud-dev/offers": [Call("GET", "/api/cloud-dev/offers", with_token(alice=200, others=200))],
    "api/cloud-dev/offers/made": [Call("GET", "/api/cloud-dev/offers/made", with_token(alice=200, others=200))],
    # The machine is offered to the member, by alice.
    "api/cloud-dev/offers/<uuid:offer_id>/accept": _about_offer("accept", member=200),
    "api/cloud-dev/offers/<uuid:offer_id>/decline": _about_offer("decline", member=200),
    "api/cloud-dev/offers/<uuid:offer_id>/withdraw": _about_offer("withdraw", alice=200),
    "api/cron/jobs": [
        _for_members("GET", "/api/cron/jobs?flyAppName={dev}"),
        _for_members(
            "POST",
            "/api/cron/jobs",
            {"flyAppName": "{dev}", "workflowName": "weekly", "cronExpression": "@weekly", "timezone": "UTC"},
            status=201,
        ),
    ],
    "api/cron/jobs/<uuid:job_id>": [
        _for_members("PATCH", _JOB, {"paused": True}),
        _for_members("DELETE", _JOB),
    ],
    "api/cron/jobs/<uuid:job_id>/runs": [_for_members("GET", f"{_JOB}/runs")],
}
