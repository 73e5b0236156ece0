"""What the platform offers.

Source: https://docs.machines.dev/#tag/platform
"""

from dataclasses import asdict
from typing import Any

from aiohttp import web

from sandbox.answers import json_answer
from sandbox.fly.access import Call
from sandbox.fly.placement import refusal
from sandbox.fly.regions import DEFAULT, REGIONS, candidates


def list_regions(call: Call) -> web.Response:
    """List the regions; live answers spell their keys in PascalCase, documented ones in snake_case."""
    regions = [asdict(region) for region in REGIONS.values()]
    return json_answer(_spelled(call, {"nearest": DEFAULT, "regions": regions}))


def list_placements(call: Call) -> web.Response:
    """Say how many machines of a size would fit where."""
    call.need_organization(call.text("org_slug"))
    compute = call.body.get("compute")
    memory = compute.get("memory_mb", 256) if isinstance(compute, dict) else 256
    regions = [
        {"region": code, "count": 0 if refusal(call.fly, region=code, memory=memory) else 1, "concurrency": 1}
        for code in candidates(call.text("region") or "any")
    ]
    return json_answer(_spelled(call, {"regions": regions}))


def _spelled(call: Call, value: Any) -> Any:
    if not call.fly.knobs.regions_in_pascal_case:
        return value
    if isinstance(value, list):
        return [_spelled(call, item) for item in value]
    if isinstance(value, dict):
        return {_pascal(name): _spelled(call, item) for name, item in value.items()}
    return value


def _pascal(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))
