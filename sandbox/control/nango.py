"""Control of what Nango holds: what time, providers and operators do behind everybody's back."""

from datetime import datetime, timedelta
from typing import cast

from aiohttp import web

from sandbox.answers import json_answer
from sandbox.control.reading import absent, read_object, refuse
from sandbox.nango import clock, shapes
from sandbox.nango.catalogue import PROVIDERS, Integration
from sandbox.nango.state import Connection, Nango, Refresh, oauth2_credentials
from sandbox.nango.tags import full_end_user, tags_of
from sandbox.world import WORLD

_MOST_SEEDED = 100_000
_SEED = frozenset(
    {
        "integration",
        "connection_id",
        "count",
        "tags",
        "end_user",
        "credentials",
        "metadata",
        "connection_config",
        "created",
        "expires_in",
        "refresh",
        "errors",
    }
)
_CHANGE = frozenset({"tags", "end_user", "credentials", "expires_in", "refresh", "errors"})
_WITHOUT_TAGS = frozenset({"expires_in", "refresh", "errors"})
_REFRESH = ("ok", "rejected", "exhausted")


async def add_integration(request: web.Request) -> web.Response:
    """Set up one more integration: `{"unique_key", "provider", "display_name"?}`."""
    known = frozenset({"unique_key", "provider", "display_name"})
    sent = await read_object(request, known=known)
    key, provider = str(sent.get("unique_key") or ""), PROVIDERS.get(str(sent.get("provider")))
    if not key or provider is None:
        refuse(f"unique_key and a provider of {', '.join(PROVIDERS)} are needed.")
    integration = Integration(
        unique_key=key,
        provider=provider,
        display_name=str(sent.get("display_name") or provider.display_name),
        created_at=clock.now(),
        updated_at=clock.now(),
    )
    request.app[WORLD].nango.integrations[key] = integration
    return json_answer(integration.as_json(origin=str(request.url.origin())), status=201)


async def remove_integration(request: web.Request) -> web.Response:
    """Take an integration away, and its connections with it."""
    nango = request.app[WORLD].nango
    key = request.match_info["key"]
    if nango.integrations.pop(key, None) is None:
        return absent()
    for connection in [one for one in nango.connections.values() if one.address[0] == key]:
        nango.remove(connection)
    return web.Response(status=204)


async def seed_connections(request: web.Request) -> web.Response:
    """Make one or `count` connections without a webhook.

    `{n}` in tag values and in `connection_id` becomes the number of the connection, from 0.
    """
    nango = request.app[WORLD].nango
    sent = await read_object(request, known=_SEED)
    integration = nango.integrations.get(str(sent.get("integration")))
    if integration is None:
        refuse("integration is the unique_key of an integration.")
    count = sent.get("count", 1)
    if not isinstance(count, int) or not 1 <= count <= _MOST_SEEDED:
        refuse(f"count is a whole number from 1 to {_MOST_SEEDED}.")
    made = [_seed_one(nango, integration, sent, number=i) for i in range(count)]
    ids = [connection.connection_id for connection in made]
    return json_answer({"connection_ids": ids}, status=201)


def _seed_one(nango: Nango, integration: Integration, sent: dict[str, object], *, number: int) -> Connection:
    end_user = full_end_user(sent.get("end_user"))
    tags = tags_of(end_user=end_user, sent=cast("dict[str, str] | None", sent.get("tags")))
    created = sent.get("created")
    name = sent.get("connection_id")
    connection_id = str(name).replace("{n}", str(number)) if name is not None else None
    existing = nango.connections.get((integration.unique_key, connection_id or ""))
    if existing is not None:
        refuse(f"{connection_id} exists already; with a count, put {{n}} into connection_id.")
    connection = nango.add(
        integration=integration,
        credentials=_credentials(integration, sent.get("credentials")),
        tags={key: value.replace("{n}", str(number)) for key, value in tags.items()},
        connection_id=connection_id,
        created=_read_moment(created) if isinstance(created, str) else None,
        end_user=end_user,
        metadata=cast("dict[str, object] | None", sent.get("metadata")),
        connection_config=cast("dict[str, object] | None", sent.get("connection_config")),
    )
    _change(nango, connection, {name: sent[name] for name in _WITHOUT_TAGS & set(sent)})
    return connection


def _credentials(integration: Integration, given: object) -> dict[str, object]:
    if isinstance(given, dict):
        return dict(given)
    mode = integration.provider.auth_mode
    if mode == "OAUTH2":
        return oauth2_credentials(provider=integration.provider.name)
    if mode == "API_KEY":
        return {"type": mode, "apiKey": f"sandbox-{integration.unique_key}-key"}
    if mode == "BASIC":
        return {"type": mode, "username": "sandbox-user", "password": "sandbox-password"}
    return {"type": mode}


async def change_connection(request: web.Request) -> web.Response:
    """Change a connection without a webhook, as time or the provider would."""
    sent = await read_object(request, known=_CHANGE)
    nango = request.app[WORLD].nango
    connection = _find(request)
    if connection is None:
        return absent()
    _change(nango, connection, sent)
    return json_answer(shapes.detailed(connection, credentials=connection.credentials))


async def remove_connection(request: web.Request) -> web.Response:
    """Delete a connection, as an operator in the dashboard would."""
    connection = _find(request)
    if connection is None:
        return absent()
    request.app[WORLD].nango.remove(connection)
    return web.Response(status=204)


def _change(nango: Nango, connection: Connection, sent: dict[str, object]) -> None:
    refresh = sent.get("refresh", connection.refresh)
    if refresh not in _REFRESH:
        refuse(f"refresh is one of {', '.join(_REFRESH)}.")
    if refresh == "ok":
        connection.backs_off_until = None
    connection.refresh = cast("Refresh", refresh)
    if "credentials" in sent:
        connection.credentials = dict(cast("dict[str, object]", sent["credentials"]))
    if "expires_in" in sent:
        moment = clock.now() + timedelta(seconds=float(cast("float", sent["expires_in"])))
        connection.credentials["expires_at"] = clock.zulu(moment)
    if "end_user" in sent:
        connection.end_user = full_end_user(sent["end_user"])
    if "tags" in sent:
        nango.tag(connection, dict(cast("dict[str, str]", sent["tags"])))
    if "errors" in sent:
        connection.errors = list(cast("list[dict[str, str]]", sent["errors"]))


async def change_session(request: web.Request) -> web.Response:
    """Move the end of a connect session: `{"expires_in": seconds}`; negative means over."""
    sent = await read_object(request, known=frozenset({"expires_in"}))
    session = request.app[WORLD].nango.sessions.get(request.match_info["token"])
    if session is None:
        return absent()
    session.expires_at = clock.now() + timedelta(seconds=float(cast("float", sent["expires_in"])))
    return json_answer({"expires_at": clock.zulu(session.expires_at)})


def _find(request: web.Request) -> Connection | None:
    address = (request.match_info["integration"], request.match_info["connection_id"])
    return request.app[WORLD].nango.connections.get(address)


def _read_moment(text: str) -> datetime:
    try:
        return clock.read(text)
    except ValueError:
        refuse("created is a point in time, such as 2026-01-02T03:04:05Z.")
