"""The API of the dev server on a development machine: workflows are started, and their runs asked about.

Whoever asks shows a dev-UI token for this machine. Its signature is left to those who hold the key.
"""

import base64
import binascii
import json
import re
import secrets
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from sandbox.answers import json_answer
from sandbox.fly.state import App
from sandbox.fly.workflows import Workflow, WorkflowRun

PREFIX = "dev/api/"
_START = re.compile(r"dev/api/workflows/([^/]+)/start")
_RUN = re.compile(r"dev/api/runs/([^/]+)")
_PARTS = 3
_CLAIMS = {"sub": str, "app": str, "login": str, "use": str, "iat": int, "exp": int}


async def answer(request: web.Request, app: App, tail: str, *, now: datetime) -> web.Response:
    """Answer a request below `/dev/api/`; `tail` is its path without the first slash."""
    claims = _claims(request, app, now)
    if claims is None:
        return _refusal(401, "A token for this machine is required.")
    # A name may have slashes of its own, so the path is read as it was sent.
    raw = request.raw_path.partition("?")[0]
    sent = raw[raw.rindex(PREFIX) :] if PREFIX in raw else tail
    if (found := _START.fullmatch(sent)) and request.method == "POST":
        return await _start(request, app, unquote(found[1]), claims, now)
    if (found := _RUN.fullmatch(sent)) and request.method == "GET":
        run = app.runs.get(unquote(found[1]))
        return _refusal(404, "Unknown run.") if run is None else json_answer(run.as_json(now))
    return _refusal(404, "Not found.")


async def _start(request: web.Request, app: App, name: str, claims: dict[str, Any], now: datetime) -> web.Response:
    orders = app.behaviour.workflows.get(name)
    if orders is None:
        return _refusal(404, "Unknown workflow.")
    try:
        body = json.loads(await request.read())
    except ValueError:
        body = None
    if not isinstance(body, dict) or set(body) != {"input"}:
        return _refusal(400, "The body is an object with the input.")
    run = WorkflowRun(
        id=f"run-{secrets.token_hex(6)}",
        workflow=name,
        input=body["input"],
        claims=claims,
        started_at=now,
        orders=Workflow(**orders),
    )
    app.runs[run.id] = run
    return json_answer({"runId": run.id})


def _claims(request: web.Request, app: App, now: datetime) -> dict[str, Any] | None:
    """Give the claims of a token that has the right shape, is for this machine, and isn't over."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    parts = token.split(".")
    if scheme != "Bearer" or len(parts) != _PARTS or not all(parts):
        return None
    header, claims = _decoded(parts[0]), _decoded(parts[1])
    if header.get("alg") != "EdDSA" or any(type(claims.get(name)) is not kind for name, kind in _CLAIMS.items()):
        return None
    return claims if claims["app"] == app.name and claims["exp"] > now.timestamp() else None


def _decoded(part: str) -> dict[str, Any]:
    """Give the object in a part of a token, an empty one when there is none."""
    try:
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, binascii.Error):
        return {}
    return found if isinstance(found, dict) else {}


def _refusal(status: int, sentence: str) -> web.Response:
    return json_answer({"error": sentence}, status=status)
