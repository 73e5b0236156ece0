"""The page behind a connect link: a person picks an integration and presses Connect.

The real page is a program of its own that asks Nango's cloud, unless the link names another Nango in `apiURL`.
"""

from html import escape
from urllib.parse import quote

from aiohttp import web

from sandbox.answers import html_answer
from sandbox.nango.catalogue import Integration
from sandbox.nango.changes import check_credentials
from sandbox.nango.completion import allowed_integration, complete, deny
from sandbox.nango.errors import NangoError
from sandbox.nango.state import Session, oauth2_credentials
from sandbox.pages import hidden_fields, message_page, page
from sandbox.world import WORLD, World

_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


async def show(request: web.Request) -> web.Response:
    """Ask which account to connect, or for its credentials."""
    world = request.app[WORLD]
    if request.query.get("apiURL", "").rstrip("/") != _api_url(request):
        return _asked_elsewhere()
    session = world.nango.session(request.query.get("session_token", ""))
    if session is None:
        return _expired()
    if session.reconnects and session.reconnects not in world.nango.connections:
        return _message("This connection was deleted", "There is nothing to reconnect.", status=400)
    allowed = [item for item in world.nango.integrations.values() if session.allows(item.unique_key)]
    asked = request.query.get("integration", "")
    if not asked and len(allowed) == 1:
        asked = allowed[0].unique_key
    if not asked:
        return _show_choice(request, session, allowed)
    try:
        return _show_form(session, allowed_integration(world, session, asked))
    except NangoError:
        return _message("Not possible", "This link does not allow that integration.", status=400)


async def submit(request: web.Request) -> web.Response:
    """Take the form and connect; scripts that fill it in need no `apiURL`."""
    world = request.app[WORLD]
    sent = {name: str(value) for name, value in (await request.post()).items()}
    form = {**request.query, **sent}
    session = world.nango.session(form.get("session_token", ""))
    if session is None:
        return _expired()
    try:
        integration = allowed_integration(world, session, form.get("integration") or _only_one(session))
    except NangoError:
        return _message("Not possible", "This link does not allow that integration.", status=400)
    if "deny" in form:
        deny(world, session, integration)
        return _message("Not connected", "You said no at the provider. You may close this window.", status=200)
    try:
        _connect(world, session, integration, form)
    except NangoError as refusal:
        problem = _SENTENCES.get(refusal.code, "That did not work.")
        return _show_form(session, integration, problem=problem, status=400)
    sentence = f"{integration.display_name} is connected, you may close this window."
    return _message("Connected", sentence, status=200)


def _api_url(request: web.Request) -> str:
    return f"{request.url.origin()}/nango"


def _asked_elsewhere() -> web.Response:
    sentence = "This page asks Nango's cloud, which doesn't know the link. It must name this Nango: add &apiURL=…"
    return _message("This link does not work here", sentence, status=401)


def _only_one(session: Session) -> str:
    """Give the integration that a session for a single one need not name."""
    return session.allowed[0] if len(session.allowed) == 1 else ""


_SENTENCES = {
    "invalid_body": "Please fill in the form.",
    "connection_test_failed": "The provider refused these credentials.",
    "invalid_connection": "This connection was deleted.",
}


def _connect(world: World, session: Session, integration: Integration, form: dict[str, str]) -> None:
    credentials = _credentials(integration, form)
    check_credentials(world, integration, credentials)
    complete(world, session, integration, credentials=credentials)


def _credentials(integration: Integration, form: dict[str, str]) -> dict[str, object]:
    mode = integration.provider.auth_mode
    if mode == "OAUTH2":
        return oauth2_credentials(provider=integration.provider.name)
    if mode == "API_KEY":
        key = form.get("api_key", "").strip()
        if not key:
            raise NangoError(400, "invalid_body")
        return {"type": mode, "apiKey": key}
    if mode == "BASIC":
        username, password = form.get("username", ""), form.get("password", "")
        if not username:
            raise NangoError(400, "invalid_body")
        return {"type": mode, "username": username, "password": password}
    return {"type": mode}


def _show_choice(request: web.Request, session: Session, allowed: list[Integration]) -> web.Response:
    links = "\n".join(
        f'<a class="button" href="/nango/connect/?session_token={quote(session.token)}'
        f'&amp;integration={quote(item.unique_key, safe="")}&amp;apiURL={quote(_api_url(request), safe="")}">'
        f"{escape(item.display_name)}</a>"
        for item in allowed
    )
    content = f"<nav>{links}</nav>" if links else "<p>There is nothing to connect.</p>"
    text = page(service="Nango", title="Which account do you want to connect?", content=content)
    return html_answer(text, headers=_HEADERS)


def _show_form(session: Session, integration: Integration, *, problem: str = "", status: int = 200) -> web.Response:
    carried = {"session_token": session.token, "integration": integration.unique_key}
    is_asked_there = integration.provider.auth_mode == "OAUTH2"
    verb = "Reconnect" if session.reconnects else "Connect"
    complaint = f'<p class="error" role="alert">{escape(problem)}</p>' if problem else ""
    note = _NOTES.get(integration.provider.auth_mode, "")
    content = f"""{complaint}
<p class="soft">{note}</p>
<form method="post" action="/nango/connect/">
{hidden_fields(carried)}
{_FIELDS.get(integration.provider.auth_mode, "")}
<button class="main">Connect</button>
{'<button name="deny" value="yes">Say no at the provider</button>' if is_asked_there else ""}
</form>"""
    title = f"{verb} {integration.display_name}"
    text = page(service="Nango", title=title, content=content)
    return html_answer(text, status=status, headers=_HEADERS)


_NOTES = {
    "OAUTH2": "The real page would go on to the provider and ask you to sign in there.",
    "API_KEY": "Any text will do as the key: nobody outside this sandbox is asked.",
    "BASIC": "Any name and password will do: nobody outside this sandbox is asked.",
}
_FIELDS = {
    "API_KEY": """<label for="api_key">API key</label>
<input id="api_key" name="api_key" required maxlength="1024" autocomplete="off">""",
    "BASIC": """<label for="username">Username</label>
<input id="username" name="username" required maxlength="1024" autocomplete="off">
<label for="password">Password</label>
<input id="password" name="password" type="password" maxlength="1024" autocomplete="off">""",
}


def _expired() -> web.Response:
    sentence = "It holds for 30 minutes. Please go back and ask for a new one."
    return _message("This link does not work any more", sentence, status=401)


def _message(title: str, sentence: str, *, status: int) -> web.Response:
    text = message_page(service="Nango", title=title, sentences=[sentence])
    return html_answer(text, status=status, headers=_HEADERS)
