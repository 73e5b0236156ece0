"""The logs API, which is undocumented; flyctl depends on it.

Source: fly-go, resource_logs.go
"""

from aiohttp import web

from sandbox.answers import json_answer
from sandbox.fly.access import Call
from sandbox.fly.errors import invalid
from sandbox.fly.logs import PAGE


def list_lines(call: Call) -> web.Response:
    """List the newest lines, or those after `next_token`, at most 100."""
    query, lines = call.request.query, call.app.logs
    after = query.get("next_token", "")
    if after and not after.isdigit():
        raise invalid("next_token is not a token")
    wanted = [
        line
        for line in lines
        if (not query.get("instance") or line.instance == query["instance"])
        if (not query.get("region") or line.region == query["region"])
        if not after or line.nanoseconds > int(after)
    ]
    page = wanted[:PAGE] if after else wanted[-PAGE:]
    place = str(page[-1].nanoseconds) if page else after
    return json_answer({"data": [line.as_json() for line in page], "meta": {"next_token": place}})
