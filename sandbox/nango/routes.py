"""Where the stand-in for Nango answers. Scopes are those of Nango's API keys."""

from aiohttp import web
from aiohttp.typedefs import Handler

from sandbox.answers import html_answer
from sandbox.nango import changes, completion, connect_pages, connections, integrations, sessions
from sandbox.nango.access import with_key, with_session, without_key
from sandbox.pages import message_page

_LIST = "environment:connections:list"
_READ = "environment:connections:read"
_READ_CREDENTIALS = "environment:connections:read_credentials"
_CREATE = "environment:connections:create"
_UPDATE = "environment:connections:update"
_DELETE = "environment:connections:delete"
_SESSIONS = "environment:connect_sessions:write"
_INTEGRATIONS = "environment:integrations"


def add_routes(app: web.Application) -> None:
    """Mount Nango at /nango. Other paths and methods fall through to the dashboard."""
    router = app.router
    for method, path, handler in _api():
        router.add_route(method, f"/nango{path}", handler)
    for path in ("/nango/connect", "/nango/connect/"):
        router.add_get(path, connect_pages.show)
        router.add_post(path, connect_pages.submit)
    router.add_get("/nango/images/template-logos/{name}", _logo)


def unmatched() -> web.Response:
    """Answer for a path that nobody serves: a page, not JSON."""
    text = message_page(service="Nango", title="Not found", sentences=["The dashboard has no such page."])
    return html_answer(text, status=404)


def _api() -> list[tuple[str, str, Handler]]:
    # Without a pattern of its own aiohttp finds no id with a brace in it.
    one = "/connections/{connection_id:[^/]+}"
    return [
        (
            "GET",
            "/integrations",
            with_key(integrations.list_integrations, scope=f"{_INTEGRATIONS}:list", or_session=True),
        ),
        (
            "GET",
            "/integrations/{key}",
            with_key(integrations.get_integration, scope=f"{_INTEGRATIONS}:read"),
        ),
        ("GET", "/providers", with_key(integrations.list_providers, or_session=True)),
        ("GET", "/providers/{provider}", with_key(integrations.get_provider, or_session=True)),
        ("GET", "/connections", with_key(connections.list_connections, scope=_LIST)),
        ("POST", "/connections", with_key(changes.import_connection, scope=_CREATE)),
        ("POST", "/connections/metadata", with_key(changes.set_metadata, scope=_UPDATE)),
        ("PATCH", "/connections/metadata", with_key(changes.merge_metadata, scope=_UPDATE)),
        ("GET", one, with_key(connections.get_connection, scope=_READ, or_scope=_READ_CREDENTIALS)),
        ("PATCH", one, with_key(changes.patch_connection, scope=_UPDATE)),
        ("DELETE", one, with_key(changes.delete_connection, scope=_DELETE)),
        ("POST", "/connect/sessions", with_key(sessions.create_session, scope=_SESSIONS)),
        (
            "POST",
            "/connect/sessions/reconnect",
            with_key(sessions.create_reconnect_session, scope=_SESSIONS),
        ),
        ("GET", "/connect/session", with_session(sessions.show_session)),
        ("DELETE", "/connect/session", with_session(sessions.revoke_session)),
        ("POST", "/api-auth/api-key/{key}", without_key(completion.with_api_key)),
        ("POST", "/api-auth/basic/{key}", without_key(completion.with_basic)),
        ("GET", "/oauth/connect/{key}", without_key(completion.with_oauth)),
    ]


async def _logo(request: web.Request) -> web.Response:
    """Draw the first letter of a provider."""
    letter = request.match_info["name"][:1].upper()
    shown = letter if letter.isalnum() else "?"
    picture = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48"><rect width="48" height="48" '
        'rx="8" fill="#3358d4"/><text x="24" y="33" font-family="sans-serif" font-size="26" '
        f'text-anchor="middle" fill="#fff">{shown}</text></svg>'
    )
    return web.Response(text=picture, content_type="image/svg+xml")
