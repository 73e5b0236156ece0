"""Control of Nango's webhooks: what was sent, and sending any other."""

import time
from typing import cast

import aiohttp
import orjson
from aiohttp import web

from sandbox.answers import json_answer
from sandbox.control.reading import read_object, refuse
from sandbox.nango.webhooks import post, sign
from sandbox.world import WORLD


async def show_webhooks(request: web.Request) -> web.Response:
    """List the webhooks sent; `?settle=5` first waits for those on their way."""
    webhooks = request.app[WORLD].webhooks
    await webhooks.settle(seconds=float(request.query.get("settle", "0")))
    return json_answer({"webhooks": webhooks.as_json()})


async def clear_webhooks(request: web.Request) -> web.Response:
    """Forget the webhooks sent."""
    request.app[WORLD].webhooks.deliveries.clear()
    return web.Response(status=204)


async def send_webhook(request: web.Request) -> web.Response:
    """Send any webhook now, signed, and give the receiver's answer.

    `body` is JSON, or a string that is sent as it is. `headers` are put over the usual ones; null
    takes one away.
    """
    known = frozenset({"body", "headers", "signing_key", "url"})
    sent = await read_object(request, known=known)
    settings = request.app[WORLD].settings
    body = sent.get("body")
    raw = body.encode() if isinstance(body, str) else orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    headers: dict[str, object] = {
        **sign(raw, key=str(sent.get("signing_key", settings.signing_key))),
        **settings.webhook_headers,
        **cast("dict[str, object]", sent.get("headers", {})),
    }
    kept = {name: str(value) for name, value in headers.items() if value is not None}
    url = str(sent.get("url", settings.webhook_url))
    started = time.monotonic()
    try:
        status, text = await post(url, raw=raw, headers=kept)
    except (aiohttp.ClientError, TimeoutError, ValueError) as problem:
        refuse(f"The webhook did not arrive: {type(problem).__name__}.")
    seconds = round(time.monotonic() - started, 3)
    return json_answer({"status": status, "body": text.decode(errors="replace"), "seconds": seconds})
