"""GitHub's side of signing in: the authorize page and the exchange of a code for a token.

Source: https://docs.github.com/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps
"""

import base64
import hashlib
import hmac
import ipaddress
import json
import secrets
from collections.abc import Mapping
from datetime import timedelta
from html import escape
from urllib.parse import urlencode, urlsplit, urlunsplit

from aiohttp import web

from sandbox.answers import found, html_answer, json_answer
from sandbox.github.state import CLIENT_ID, CLIENT_SECRET, Code, is_login, now
from sandbox.pages import hidden_fields, message_page, page
from sandbox.world import WORLD, World

_CALLBACKS = frozenset({"/api/auth/github/callback", "/api/auth/callback/github"})
_CARRIED = (
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
)
_TROUBLE = "https://docs.github.com/apps/managing-oauth-apps/troubleshooting-oauth-app-access-token-request-errors/#"
_DENIED = "https://docs.github.com/apps/troubleshooting-authorization-request-errors/#access-denied"
_ERRORS = {
    "bad_verification_code": "The code passed is incorrect or expired.",
    "incorrect_client_credentials": "The client_id and/or client_secret passed are incorrect.",
    "redirect_uri_mismatch": ("The redirect_uri MUST match the registered callback URL for this application."),
}


async def authorize_page(request: web.Request) -> web.Response:
    """Show the form that asks who signs in."""
    asked = request.query
    refusal = _refuse_authorize(request.app[WORLD], asked)
    return refusal or html_answer(_form(asked, hint=asked.get("login", ""), error=""))


async def authorize(request: web.Request) -> web.Response:
    """Take the form: send the browser back with a code, or with the person's refusal."""
    world = request.app[WORLD]
    form = {name: str(value) for name, value in (await request.post()).items()}
    if refusal := _refuse_authorize(world, form):
        return refusal
    if "cancel" in form:
        return _back(
            form,
            error="access_denied",
            error_description="The user has denied your application access.",
            error_uri=_DENIED,
        )
    login = form.get("login", "").strip()
    if not is_login(login):
        sentence = (
            "A login has letters, digits and single hyphens, at most 39 characters; one that a company manages ends "
            "with an underscore and the company's short name of 3 to 8 letters and digits."
        )
        return html_answer(_form(form, hint=login, error=sentence), status=422)
    return _back(form, code=_issue_code(world, form, login=login).code)


async def access_token(request: web.Request) -> web.Response:
    """Exchange a code for a token. Refusals are HTTP 200 with `error`, as GitHub's are."""
    github = request.app[WORLD].github
    sent = await _read_fields(request)
    if sent is None or not sent.get("client_id"):
        return _answer(request, {"error": "Not Found"}, status=404)
    if sent["client_id"] != CLIENT_ID or not _same(sent.get("client_secret", ""), CLIENT_SECRET):
        return _refuse_exchange(request, "incorrect_client_credentials")
    code = github.codes.get(sent.get("code", ""))
    if code is None or code.expires_at <= now() or code.client_id != sent["client_id"]:
        return _refuse_exchange(request, "bad_verification_code")
    if sent.get("redirect_uri", code.redirect_uri) != code.redirect_uri:
        return _refuse_exchange(request, "redirect_uri_mismatch")
    if not _proves(sent.get("code_verifier", ""), code.challenge):
        del github.codes[code.code]
        return _refuse_exchange(request, "bad_verification_code")
    token = github.issue_token(code)
    scope = ",".join(token.scopes)
    return _answer(request, {"access_token": token.token, "scope": scope, "token_type": "bearer"}, status=200)


def _refuse_authorize(world: World, asked: Mapping[str, str]) -> web.Response | None:
    if asked.get("client_id") != CLIENT_ID:
        text = message_page(service="GitHub", title="404", sentences=["No OAuth application has this client id."])
        return html_answer(text, status=404)
    if not _is_registered(asked.get("redirect_uri", ""), extra_hosts=world.settings.redirect_hosts):
        sentences = [
            "Be careful!",
            "The redirect_uri is not associated with this application.",
            "The application might be misconfigured.",
        ]
        text = message_page(service="GitHub", title="redirect_uri mismatch", sentences=sentences)
        return html_answer(text, status=400)
    if _challenge_is_wrong(asked):
        return _back(
            asked,
            error="invalid_request",
            error_description="The code_challenge_method must be S256.",
        )
    return None


def _challenge_is_wrong(asked: Mapping[str, str]) -> bool:
    if "code_challenge" not in asked and "code_challenge_method" not in asked:
        return False
    challenge_length = 43
    return asked.get("code_challenge_method") != "S256" or len(asked.get("code_challenge", "")) != challenge_length


def _is_registered(address: str, *, extra_hosts: list[str]) -> bool:
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    return (
        parts.scheme in ("http", "https")
        and parts.path in _CALLBACKS
        and not parts.fragment
        and not parts.username
        and (_is_loopback(host) or host in extra_hosts)
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _form(asked: Mapping[str, str], *, hint: str, error: str) -> str:
    carried = {name: asked[name] for name in _CARRIED if name in asked}
    buttons = "\n".join(
        f'<button name="login" value="{login}">{login}</button>' for login in ("alice", "bob", "charlie")
    )
    complaint = f'<p class="error" role="alert">{escape(error)}</p>' if error else ""
    scope = escape(asked.get("scope", "")) or "public data only"
    # The text field stands in a form of its own: a named button and a named field of the same
    # form would both be sent.
    content = f"""<p class="soft">An application wants to sign you in. It asks for:
<code>{scope}</code></p>
{complaint}
<form method="post" action="/github/login/oauth/authorize">
{hidden_fields(carried)}
{buttons}
</form>
<hr>
<form method="post" action="/github/login/oauth/authorize">
{hidden_fields(carried)}
<label for="login">Anyone else</label>
<input id="login" name="login" value="{escape(hint)}" maxlength="39" autocomplete="off"
 autocapitalize="none" spellcheck="false">
<button class="main">Sign in</button>
</form>
<form method="post" action="/github/login/oauth/authorize">
{hidden_fields(carried)}
<button name="cancel" value="1">Cancel</button>
</form>"""
    return page(service="GitHub", title="Who signs in?", content=content)


def _back(asked: Mapping[str, str], **answer: str) -> web.Response:
    parts = urlsplit(asked["redirect_uri"])
    if "state" in asked:
        answer["state"] = asked["state"]
    query = "&".join(filter(None, (parts.query, urlencode(answer))))
    return found(urlunsplit(parts._replace(query=query)))


def _issue_code(world: World, form: Mapping[str, str], *, login: str) -> Code:
    scopes = form.get("scope", "").replace(",", " ").split()
    code = Code(
        code=secrets.token_hex(10),
        login=world.github.person(login).login,
        client_id=form["client_id"],
        redirect_uri=form["redirect_uri"],
        scopes=tuple(sorted(set(scopes))),
        challenge=form.get("code_challenge"),
        expires_at=now() + timedelta(seconds=world.settings.github_code_seconds),
    )
    world.github.codes[code.code] = code
    return code


async def _read_fields(request: web.Request) -> dict[str, str] | None:
    if request.content_type == "application/json":
        try:
            fields = await request.json()
        except (json.JSONDecodeError, UnicodeDecodeError):
            return None
        if not isinstance(fields, dict):
            return None
    else:
        fields = {**request.query, **await request.post()}
    return {name: value for name, value in fields.items() if isinstance(value, str)}


def _proves(verifier: str, challenge: str | None) -> bool:
    if challenge is None:
        return True
    digest = hashlib.sha256(verifier.encode()).digest()
    return _same(base64.urlsafe_b64encode(digest).rstrip(b"=").decode(), challenge)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _refuse_exchange(request: web.Request, error: str) -> web.Response:
    fields = {
        "error": error,
        "error_description": _ERRORS[error],
        "error_uri": _TROUBLE + error.replace("_", "-"),
    }
    return _answer(request, fields, status=200)


def _answer(request: web.Request, fields: Mapping[str, str], *, status: int) -> web.Response:
    if "application/json" in request.headers.get("Accept", ""):
        return json_answer(fields, status=status)
    return web.Response(
        text=urlencode(fields),
        status=status,
        content_type="application/x-www-form-urlencoded",
        charset="utf-8",
    )
