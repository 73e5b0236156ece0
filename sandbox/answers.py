"""The few shapes of HTTP answer that every stand-in gives."""

from collections.abc import Mapping

import orjson
from aiohttp import web


def json_answer(body: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer `body` as JSON."""
    return web.Response(
        body=orjson.dumps(body),
        status=status,
        headers=headers,
        content_type="application/json",
        charset="utf-8",
    )


def html_answer(text: str, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer `text` as an HTML page."""
    return web.Response(text=text, status=status, headers=headers, content_type="text/html", charset="utf-8")


def found(location: str) -> web.Response:
    """Redirect a browser with 302; the address is sent as it is, without normalising it."""
    return web.Response(status=302, headers={"Location": location, "Cache-Control": "no-store"})
