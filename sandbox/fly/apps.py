"""Apps.

Source: https://fly.io/docs/machines/api/apps-resource/
"""

import re
import secrets
from functools import partial

from aiohttp import web

from sandbox.answers import json_answer
from sandbox.fly import identifiers
from sandbox.fly.access import Call, is_hidden
from sandbox.fly.clock import spelled
from sandbox.fly.errors import unprocessable
from sandbox.fly.state import App, Fly
from sandbox.fly.tokens import ORGANIZATION

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_DELETION_SECONDS = 3.0
_COOKIE = "fly_flaps_affinity"


def create(call: Call) -> web.Response:
    """Make an app. With an idempotency key, the same request gives the same app again."""
    name = call.text("name") or call.text("app_name")
    call.need_organization(call.text("org_slug"))
    if not _NAME.fullmatch(name):
        raise unprocessable("Name may only contain numbers, lowercase letters and dashes")
    key = call.text("idempotency_key") or None
    app = _made_before(call.fly, name=name, key=key)
    if app is None:
        app = add(call.fly, name=name, network=call.text("network"), role=call.text("app_role_id"), key=key)
    response = json_answer({"id": app.id, "created_at": spelled(app.created_at)}, status=201)
    path = call.request.path.rpartition("/v1/")[0]
    response.set_cookie(_COOKIE, secrets.token_hex(8), path=f"{path}/v1/apps/{name}", httponly=True)
    return response


def add(  # noqa: PLR0913 - an app is told so much
    fly: Fly,
    *,
    name: str,
    network: str = "",
    role: str = "",
    key: str | None = None,
    organization: str = ORGANIZATION,
) -> App:
    """Put a new app into the world; what the knobs say hides it for a while."""
    fly.apps[name] = App(
        id=identifiers.short_id(),
        number=fly.next_number(),
        name=name,
        organization=organization,
        network=network or "default",
        created_at=fly.clock.now(),
        role=role,
        idempotency_key=key,
        hidden_reads=fly.knobs.app_lag_reads,
        hidden_until=fly.later(fly.knobs.app_lag_seconds),
    )
    return fly.apps[name]


def show(call: Call) -> web.Response:
    """Show an app."""
    return json_answer(call.app.as_json())


def list_all(call: Call) -> web.Response:
    """List the apps of the organization."""
    call.need_organization(call.request.query.get("org_slug", ""))
    role = call.request.query.get("app_role")
    shown = [
        app.as_json()
        for app in call.fly.apps.values()
        if app.organization == ORGANIZATION and not app.deleting
        if role is None or app.role == role
        if not is_hidden(call.fly, app)
    ]
    return json_answer({"total_apps": len(shown), "apps": shown})


def delete(call: Call) -> web.Response:
    """Delete an app, with all that is in it; it is gone a little later."""
    if _is_leaving(call):
        return web.Response(status=202)
    remove(call.fly, call.app)
    return web.Response(status=202)


def remove(fly: Fly, app: App) -> None:
    """Let an app go. Its name is taken until it is gone."""
    app.deleting = True
    fly.clock.after(_DELETION_SECONDS, partial(fly.forget, app))


def _is_leaving(call: Call) -> bool:
    app = call.fly.apps.get(call.request.match_info["app"])
    return app is not None and app.deleting and app.organization == ORGANIZATION and call.token.app is None


def _made_before(fly: Fly, *, name: str, key: str | None) -> App | None:
    """Find the app that the same key made, if any. Raises FlyError when the name or the key is taken."""
    if key is not None:
        mine = [app for app in fly.apps.values() if app.idempotency_key == key and not app.deleting]
        if any(app.name != name for app in mine):
            raise unprocessable("Idempotency key has already been used for another app")
        if mine:
            return mine[0]
    if name in fly.apps:
        raise unprocessable("Name has already been taken", code="name_taken")
    return None
