"""Secrets of apps: always staged, read by machines when they boot.

Source: https://docs.machines.dev/#tag/secrets
"""

import re
from datetime import timedelta

from aiohttp import web

from sandbox.answers import json_answer
from sandbox.fly.access import Call
from sandbox.fly.errors import FlyError, invalid, not_found, precondition, unprocessable

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def list_all(call: Call) -> web.Response:
    """List names and digests; `show_secrets=true` reveals the values, `min_version` waits for a version."""
    app = call.app
    wanted = call.request.query.get("min_version") or call.request.query.get("version") or "0"
    if not wanted.isdigit():
        raise invalid("min_version must be a number")
    need_version(call, int(wanted))
    return json_answer({"secrets": app.vault.as_json(revealed=call.flag("show_secrets"))})


def change(call: Call) -> web.Response:
    """Set many at once; null takes one away."""
    app, values = call.app, call.body.get("values")
    if not isinstance(values, dict):
        raise invalid("values must be an object")
    version = _change(call, {name: _checked(name, value) for name, value in values.items()})
    return json_answer({"secrets": app.vault.as_json(), "version": version})


def show(call: Call) -> web.Response:
    """Show one."""
    return json_answer(_one(call, revealed=call.flag("show_secrets")))


def set_one(call: Call) -> web.Response:
    """Set one."""
    name = call.request.match_info["name"]
    value = _checked(name, call.body.get("value"))
    if value is None:
        raise invalid("value must be a string")
    version = _change(call, {name: value})
    return json_answer(_one(call) | {"version": version}, status=201)


def delete(call: Call) -> web.Response:
    """Take one away."""
    _one(call)
    return json_answer({"version": _change(call, {call.request.match_info["name"]: None})})


def need_version(call: Call, version: int) -> None:
    """Refuse while hosts don't see a version yet, or when there is none such. Raises FlyError."""
    seen = call.app.vault.visible(now=call.now).version
    if version > seen:
        raise precondition(f"minimum secrets version {version} is not available yet, currently at {seen}")


def _one(call: Call, *, revealed: bool = False) -> dict[str, object]:
    wanted = call.request.match_info["name"]
    for shown in call.app.vault.as_json(revealed=revealed):
        if shown["name"] == wanted:
            return shown
    raise not_found("secret")


def _change(call: Call, values: dict[str, str | None]) -> int:
    now = call.now
    visible_from = now + timedelta(seconds=call.fly.knobs.secrets_lag_seconds)
    return call.app.vault.change(values, now=now, visible_from=visible_from)


def _checked(name: str, value: object) -> str | None:
    if not _NAME.fullmatch(name):
        raise unprocessable(f"secret name {name!r} is invalid")
    if value is None:
        return None
    if not isinstance(value, str):
        raise invalid(f"value of {name} must be a string")
    if "\0" in value:
        raise FlyError(422, f"Validation failed: value of {name} must not contain NUL")
    return value
