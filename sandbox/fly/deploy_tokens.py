"""Tokens by the API.

Source: https://docs.machines.dev/#tag/tokens
"""

import secrets

from aiohttp import web

from sandbox.answers import json_answer
from sandbox.fly import identifiers
from sandbox.fly.access import Call
from sandbox.fly.clock import spelled
from sandbox.fly.errors import forbidden, invalid
from sandbox.fly.tokens import DEPLOY_PREFIX, LONGEST, ORGANIZATION, Token, read_duration


def create(call: Call) -> web.Response:
    """Make a token for one app, which ends after `expiry`; without one after 20 years, as at Fly."""
    app = call.app
    if call.token.app is not None:
        raise forbidden("Authorize: a deploy token makes no tokens")
    text = call.text("expiry")
    lifetime = read_duration(text) if text else LONGEST
    if not lifetime:
        raise invalid(f"expiry {text!r} is not a duration")
    token = DEPLOY_PREFIX + secrets.token_hex(16)
    expires_at = call.now + lifetime
    call.fly.tokens[token] = Token(id=identifiers.short_id(), expires_at=expires_at, app=app.name)
    return json_answer({"token": token})


def current(call: Call) -> web.Response:
    """Say what the token of this request is good for."""
    token = call.token
    shown = {
        "token_id": token.id,
        "org_slug": ORGANIZATION,
        "organization": ORGANIZATION,
        "apps": [token.app] if token.app else [],
        "expires_at": spelled(token.expires_at),
    }
    return json_answer({"tokens": [shown]})
