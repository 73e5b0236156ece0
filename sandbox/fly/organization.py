"""What is asked of the whole organization, page by page.

Source: https://docs.machines.dev/#tag/machines/get/v1/orgs/{org_slug}/machines
"""

import base64
import binascii
from datetime import datetime
from typing import Any, TypeVar

from aiohttp import web

from sandbox.answers import json_answer
from sandbox.fly.access import Call, is_hidden
from sandbox.fly.clock import read, spelled_finely
from sandbox.fly.errors import invalid
from sandbox.fly.machine import DESTROYED, Machine
from sandbox.fly.state import App
from sandbox.fly.tokens import ORGANIZATION

_MOST = 1000
_USUAL = 100

Place = tuple[str, str]
T = TypeVar("T")


def list_machines(call: Call) -> web.Response:
    """List the machines of all apps in the order of their last change; `next_cursor` leads on."""
    call.need_organization(call.request.match_info["org"])
    query = call.request.query
    since = _moment(query.get("updated_after", ""))
    after = _place(query.get("cursor", ""))
    states = {word for text in query.getall("state", []) for word in text.split(",") if word}
    with_deleted = call.flag("include_deleted") or DESTROYED in states
    found = [
        (_at(machine), machine)
        for app in _apps(call)
        for machine in app.machines.values()
        if with_deleted or machine.state != DESTROYED
        if not states or machine.state in states
        if since is None or machine.updated_at > since
        if not is_hidden(call.fly, machine)
    ]
    found.sort(key=lambda one: one[0])
    page, cursor = _page([one for one in found if after is None or one[0] > after], _limit(call))
    return json_answer(
        {
            "machines": [_shown(machine) for _, machine in page],
            "next_cursor": cursor,
            "last_updated_at": page[-1][0][0] if page else query.get("updated_after", ""),
            "error_regions": [],
        }
    )


def list_volumes(call: Call) -> web.Response:
    """List the volumes of all apps."""
    call.need_organization(call.request.match_info["org"])
    after = _place(call.request.query.get("cursor", ""))
    found = [
        ((spelled_finely(volume.created_at), volume.id), volume.as_json() | {"app_name": app.name})
        for app in _apps(call)
        for volume in app.volumes.values()
        if volume.state != "destroyed"
    ]
    found.sort(key=lambda one: one[0])
    page, cursor = _page([one for one in found if after is None or one[0] > after], _limit(call))
    return json_answer({"volumes": [shown for _, shown in page], "next_cursor": cursor, "error_regions": []})


def _apps(call: Call) -> list[App]:
    return [app for app in call.fly.apps.values() if app.organization == ORGANIZATION and not app.deleting]


def _page(found: list[tuple[Place, T]], limit: int) -> tuple[list[tuple[Place, T]], str]:
    page = found[:limit]
    return page, base64.urlsafe_b64encode("|".join(page[-1][0]).encode()).decode() if len(found) > limit else ""


def _at(machine: Machine) -> Place:
    return spelled_finely(machine.updated_at), machine.id


def _shown(machine: Machine) -> dict[str, Any]:
    return {
        "app_name": machine.app_name,
        "id": machine.id,
        "name": machine.name,
        "state": machine.state,
        "region": machine.region,
        "version": machine.instance_id,
        "updated_at": spelled_finely(machine.updated_at),
        "config": machine.short_config(),
    }


def _limit(call: Call) -> int:
    text = call.request.query.get("limit", str(_USUAL))
    if not text.isdigit() or not 1 <= int(text) <= _MOST:
        raise invalid(f"limit must be from 1 to {_MOST}")
    return int(text)


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        return read(text)
    except ValueError:
        raise invalid("updated_after must be a time in RFC 3339") from None


def _place(cursor: str) -> Place | None:
    if not cursor:
        return None
    try:
        moment, _, thing = base64.urlsafe_b64decode(cursor).decode().partition("|")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise invalid("cursor is malformed") from None
    return moment, thing
