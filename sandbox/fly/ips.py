"""IP addresses of apps.

Source: https://docs.machines.dev/#tag/apps/post/v1/apps/{app_name}/ip_assignments
"""

import secrets

from aiohttp import web

from sandbox.answers import json_answer
from sandbox.fly.access import Call
from sandbox.fly.errors import FlyError, invalid, not_found
from sandbox.fly.regions import single
from sandbox.fly.state import Address, App

_TYPES = ("v4", "v6", "shared_v4", "private_v6")


def list_all(call: Call) -> web.Response:
    """List the addresses of an app."""
    return json_answer({"ips": [address.as_json() for address in call.app.addresses.values()]})


def assign(call: Call) -> web.Response:
    """Give an app an address. A second shared one is refused; of the others there may be several."""
    app, kind = call.app, call.text("type")
    if kind not in _TYPES:
        raise invalid(f"type must be one of {', '.join(_TYPES)}")
    if kind == "shared_v4" and any(address.type == kind for address in app.addresses.values()):
        raise FlyError(call.fly.knobs.duplicate_ip_status, "Validation failed: App already has a shared IP allocated")
    region = call.text("region")
    address = Address(
        ip=_new_ip(app, kind),
        type=kind,
        created_at=call.now,
        region=single(region) if region not in ("", "global") else "global",
        service_name=call.text("service_name"),
        network=call.text("network") or None,
    )
    app.addresses[address.ip] = address
    return json_answer(address.as_json())


def release(call: Call) -> web.Response:
    """Take an address away."""
    if call.app.addresses.pop(call.request.match_info["ip"], None) is None:
        raise not_found("ip address")
    return web.Response(status=204)


def _new_ip(app: App, kind: str) -> str:
    """Make up an address that this app doesn't have."""
    while True:
        low, high = secrets.randbelow(254) + 1, secrets.randbits(16)
        ip = {
            "v4": f"137.66.{secrets.randbelow(254) + 1}.{low}",
            "shared_v4": f"66.241.{124 + secrets.randbelow(2)}.{low}",
            "v6": f"2a09:8280:1::{high:x}:{secrets.randbits(16):x}:0",
            "private_v6": f"fdaa:{secrets.randbits(16):x}:0:1::{high:x}",
        }[kind]
        if ip not in app.addresses:
            return ip
