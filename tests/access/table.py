"""Who may call and see what of signing in, of people's accounts, of integrations and of the server itself."""

from urllib.parse import quote

from tests.access.entries import LOGIN, Call, Visit, everybody, public, signed_in, with_token

_ADDRESS = {"integration_id": "acme", "connection_id": "{connection}"}
_NO_KEY = {"{key}": "00000000-0000-4000-8000-00000000bbbb"}
_NO_SUCH = {"{connection}": "no-such-connection", "acme": "slack"}

SERVER_CALLS: dict[str, list[Call]] = {
    "_/health": [Call("GET", "/_/health", public(200))],
    "_/ready": [Call("GET", "/_/ready", public(200))],
    "api/auth/cli/session": [Call("POST", "/api/auth/cli/session", public(200), body={})],
    "api/auth/cli/check": [
        Call("GET", "/api/auth/cli/check?code={code}&secret={secret}", public(200)),
        Call("GET", "/api/auth/cli/check?code={code}&secret=00000000000000000000000000000000", public(403)),
    ],
    "api/auth/logout": [Call("POST", "/api/auth/logout", with_token(alice=200, others=200, key=403))],
    "api/auth/validate-key": [Call("POST", "/api/auth/validate-key", public(200), body={"apiKey": "not-a-key"})],
    # Proxies ask about what other services are sent, so a worker's key is taken, too, and one that may little.
    "api/auth/verify": [
        Call(
            method,
            "/api/auth/verify",
            {**with_token(alice=200, others=200, service=200), "worker": 200, "narrowed": 200},
        )
        for method in ("GET", "POST")
    ],
    "api/users/register": [Call("POST", "/api/users/register", public(200), body={})],
    # No key makes, shows or ends keys.
    "api/keys": [
        Call("GET", "/api/keys", with_token(alice=200, others=200, key=403)),
        Call("POST", "/api/keys", with_token(alice=201, others=201, key=403), body={"name": "CI"}),
    ],
    "api/keys/<uuid:key_id>": [
        Call("DELETE", "/api/keys/{key}", with_token(alice=200, others=404, key=403), absent=_NO_KEY)
    ],
    "api/keys/<uuid:key_id>/rotate": [
        Call("POST", "/api/keys/{key}/rotate", with_token(alice=201, others=404, key=403), body={}, absent=_NO_KEY)
    ],
    "api/orgs/<str:slug>/worker-tokens": [
        Call(
            "POST",
            "/api/orgs/alice/worker-tokens",
            with_token(alice=201, others=404, key=403),
            body={"displayName": "worker-1"},
            absent={"/orgs/alice/": "/orgs/nobodys/"},
        )
    ],
    "api/integrations": [Call("GET", "/api/integrations", with_token(alice=200, others=200, service=200))],
    ".well-known/jwks.json": [Call("GET", "/.well-known/jwks.json", public(200))],
    "api/auth/jwks": [Call("GET", "/api/auth/jwks", public(200))],
    ".well-known/openid-configuration": [Call("GET", "/.well-known/openid-configuration", public(200))],
    ".well-known/oauth-authorization-server": [Call("GET", "/.well-known/oauth-authorization-server", public(200))],
    ".well-known/oauth-protected-resource": [Call("GET", "/.well-known/oauth-protected-resource", public(200))],
    ".well-known/oauth-protected-resource/<path:path>": [
        Call("GET", "/.well-known/oauth-protected-resource/api", public(200))
    ],
    # Clients say who they are in the form; what a person holds opens nothing here.
    "oauth/token": [Call("POST", "/oauth/token", public(400))],
    "oauth/device/code": [Call("POST", "/oauth/device/code", public(400))],
    "api/auth/device/code": [Call("POST", "/api/auth/device/code", public(400), body={})],
    "api/auth/device/token": [Call("POST", "/api/auth/device/token", public(400), body={})],
    "oauth/revoke": [Call("POST", "/oauth/revoke", public(400))],
    "oauth/introspect": [Call("POST", "/oauth/introspect", public(401))],
    # Only for tokens that the authorization server gave to a client.
    "oauth/userinfo": [Call("GET", "/oauth/userinfo", public(401)), Call("POST", "/oauth/userinfo", public(401))],
    "api/integrations/<str:integration_id>/connections": [
        Call(
            "GET",
            "/api/integrations/acme/connections",
            with_token(alice=200, others=200),
            absent={"acme": "slack"},
        )
    ],
    "api/credentials/<str:integration_id>": [
        Call(
            "GET",
            "/api/credentials/acme?connection_id={connection}",
            with_token(alice=200, others=404),
            absent=_NO_SUCH,
        )
    ],
    "api/nango/connect-session": [
        Call("POST", "/api/nango/connect-session", with_token(alice=200, others=200), body={"integration_id": "acme"}),
        Call(
            "POST",
            "/api/nango/connect-session",
            with_token(alice=200, others=404),
            body=_ADDRESS,
            absent=_NO_SUCH,
        ),
    ],
    "api/connections/create": [
        Call(
            "POST",
            "/api/connections/create",
            # The id is the caller's choice, so that it is taken can't be hidden.
            with_token(alice=200, others=409),
            body={**_ADDRESS, "credentials": {"apiKey": "not-a-secret"}},
        )
    ],
    "api/connections/delete": [
        Call("POST", "/api/connections/delete", with_token(alice=200, others=404), body=_ADDRESS, absent=_NO_SUCH)
    ],
    # Nango is known by its signature; a person's token opens nothing here.
    "webhooks/nango": [Call("POST", "/webhooks/nango", public(401), body={"type": "auth"})],
    "api/docs": [Call("GET", "/api/docs", public(200))],
    "api/docs/openapi.json": [Call("GET", "/api/docs/openapi.json", public(200))],
}

_HOME, _NO_LINK = "/account/apps", {"{link}": "0" * 64}
# A callback of no sign-in: loaded again by somebody who is signed in, it goes on.
_CALLED_BACK = everybody("/workspaces/", **dict.fromkeys(("nobody", "token", "suspended", "waitlisted"), 400))
_REVOKE, _NO_APP = "/account/apps/{token}/revoke", {"{token}": "00000000-0000-4000-8000-00000000aaaa"}
_KEYS = "/account/keys"
_END, _NO_BROWSER = "/account/browsers/{session}/end", {"{session}": "987654321"}

_END_LOGIN, _NO_LOGIN = "/account/logins/{login}/end", {"{login}": "00000000-0000-4000-8000-00000000bbbb"}
_AUTHORIZE = (
    "/oauth/authorize?response_type=code&client_id=notes&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcallback"
    f"&code_challenge={'a' * 43}&code_challenge_method=S256"
)
_STRANGERS = ("nobody", "token", "suspended", "waitlisted")

SERVER_PAGES: dict[str, list[Visit]] = {
    "": [
        Visit(
            "GET", "/", everybody("/workspaces/", **dict.fromkeys(("nobody", "token", "suspended", "waitlisted"), 200))
        )
    ],
    "admin": [Visit("GET", "/admin", everybody("/admin/"))],
    "auth/sign-in": [
        Visit(
            "GET",
            "/auth/sign-in",
            everybody("/workspaces/", **dict.fromkeys(("nobody", "token", "suspended", "waitlisted"), 200)),
        )
    ],
    "auth/sign-out": [Visit("POST", "/auth/sign-out", everybody("/auth/sign-in"))],
    "auth/shut-out": [Visit("GET", "/auth/shut-out", everybody("/auth/sign-in"))],
    "auth/address-taken": [Visit("GET", "/auth/address-taken", everybody("/auth/sign-in"))],
    "auth/github": [
        Visit("GET", "/auth/github", everybody("/auth/sign-in")),
        Visit("POST", "/auth/github", everybody("{github}")),
    ],
    "auth/cli": [
        Visit("GET", "/auth/cli?cli_code={code}", everybody(200)),
        Visit(
            "POST",
            "/auth/cli",
            everybody(
                200, **dict.fromkeys(("nobody", "token", "suspended", "waitlisted"), "/auth/cli?cli_code={code}")
            ),
            form={"cli_code": "{code}", "decision": "approve"},
        ),
    ],
    "connect/": [
        Visit("GET", "/connect/?link={link}", signed_in("/connect/%3Flink%3D{link}", 404, alice=200), absent=_NO_LINK),
        Visit(
            "POST",
            "/connect/",
            signed_in("/connect/", 404, alice="{nango}"),
            form={"link": "{link}"},
            absent=_NO_LINK,
        ),
    ],
    "account/apps": [Visit("GET", _HOME, signed_in(_HOME, 200))],
    "account/apps/<uuid:token_id>/revoke": [
        Visit("POST", _REVOKE, signed_in(_HOME, 404, alice=_HOME), absent=_NO_APP),
        Visit("GET", _REVOKE, signed_in(_REVOKE, 405)),
    ],
    "account/logins/<uuid:login_id>/end": [
        Visit("POST", _END_LOGIN, signed_in(_HOME, 404, alice=_HOME), absent=_NO_LOGIN),
        Visit("GET", _END_LOGIN, signed_in(_END_LOGIN, 405)),
    ],
    "device": [Visit("GET", "/device", signed_in("/device", 200))],
    "oauth/authorize": [
        Visit("GET", _AUTHORIZE, signed_in(quote(_AUTHORIZE), 200)),
        Visit("GET", "/oauth/authorize", everybody(400)),
        Visit(
            "POST",
            _AUTHORIZE,
            everybody("https://app.example.com/callback", **dict.fromkeys(_STRANGERS, f"{LOGIN}{quote(_AUTHORIZE)}")),
            form={"decision": "allow"},
        ),
    ],
    "account/browsers/<int:session_id>/end": [
        Visit("POST", _END, signed_in(_HOME, 404, alice=_HOME), absent=_NO_BROWSER),
        Visit("GET", _END, signed_in(_END, 405)),
    ],
    "account/revoke-all": [
        Visit("POST", "/account/revoke-all", signed_in(_HOME, "/auth/sign-in")),
        Visit("GET", "/account/revoke-all", signed_in("/account/revoke-all", 405)),
    ],
    "account/keys": [Visit("GET", _KEYS, signed_in(_KEYS, 200))],
    "account/keys/make": [
        Visit(
            "POST",
            "/account/keys/make",
            signed_in(_KEYS, 404, alice=200),
            form={"name": "CI", "organization": "alice", "days": "30", "reach": "all"},
        ),
        Visit("GET", "/account/keys/make", signed_in("/account/keys/make", 405)),
    ],
    "account/keys/<uuid:key_id>/revoke": [
        Visit("POST", f"{_KEYS}/{{key}}/revoke", signed_in(_KEYS, 404, alice=_KEYS), absent=_NO_KEY),
        Visit("GET", f"{_KEYS}/{{key}}/revoke", signed_in(f"{_KEYS}/{{key}}/revoke", 405)),
    ],
    "account/keys/<uuid:key_id>/rotate": [
        Visit("POST", f"{_KEYS}/{{key}}/rotate", signed_in(_KEYS, 404, alice=200), absent=_NO_KEY),
        Visit("GET", f"{_KEYS}/{{key}}/rotate", signed_in(f"{_KEYS}/{{key}}/rotate", 405)),
    ],
    "account/worker-keys/make": [
        Visit(
            "POST",
            "/account/worker-keys/make",
            signed_in(_KEYS, 404, alice=200),
            form={"name": "worker-1", "organization": "alice"},
        ),
        Visit("GET", "/account/worker-keys/make", signed_in("/account/worker-keys/make", 405)),
    ],
    # Scripts of pages ask for it, so whoever is not signed in gets a status and no redirect.
    "api/auth/token": [
        Visit(
            "GET",
            "/api/auth/token",
            everybody(200, **dict.fromkeys(("nobody", "token", "suspended", "waitlisted"), 401)),
        )
    ],
    "api/auth/github/callback": [Visit("GET", "/api/auth/github/callback?code=x&state=y", _CALLED_BACK)],
    "api/auth/callback/github": [Visit("GET", "/api/auth/callback/github?code=x&state=y", _CALLED_BACK)],
}
