"""The yardstick: a bare WSGI application under the same gunicorn, with the same queries and upstream calls.

No framework, no checks, no limits, no logs: what Python, gunicorn, psycopg and urllib3 cost by themselves.
"""

import hashlib
import json
import os
import threading
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import psycopg
import urllib3

if TYPE_CHECKING:
    from wsgiref.types import StartResponse

Query = dict[str, str]

_UPSTREAM = urllib3.connection_from_url(os.environ["NANGO_SERVER_URL"], maxsize=64)
_HEADERS = {"Authorization": f"Bearer {os.environ['NANGO_SECRET_KEY']}"}
_LOCAL = threading.local()
_INTEGRATIONS = json.dumps({"data": [{"id": f"kind-{n}", "provider": "github"} for n in range(7)]}).encode()
_CALLER = (
    "SELECT t.id, u.id, u.is_active, o.slug FROM accounts_accesstoken t JOIN accounts_user u ON u.id = t.user_id "
    "JOIN accounts_organization o ON o.id = t.organization_id WHERE t.digest = %s"
)
_LOGIN = "SELECT id, secret_digest, state FROM accounts_clilogin WHERE code = %s"
_NEW_LOGIN = (
    "INSERT INTO accounts_clilogin (id, code, secret_digest, state, client_name, hostname, user_agent, "
    "created_at, expires_at) VALUES (%s, %s, %s, 'pending', '', '', '', now(), now() + interval '5 minutes') "
    "ON CONFLICT DO NOTHING"
)
_LATEST = (
    "SELECT d.fly_app_id, b.state, b.commit, b.id, b.log_length FROM deployments_deployment d "
    "JOIN deployments_build b ON b.deployment_id = d.id WHERE d.owner_id = %s AND d.app_name = %s "
    "ORDER BY b.created_at DESC LIMIT 1"
)
_TAIL = "SELECT text FROM deployments_buildlogchunk WHERE build_id = %s AND start + length(text) > %s ORDER BY start"


def _execute(statement: str, *values: object) -> psycopg.Cursor:
    if not hasattr(_LOCAL, "connection"):
        _LOCAL.connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
    cursor: psycopg.Cursor = _LOCAL.connection.execute(statement, values)
    return cursor


def _row(statement: str, *values: object) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = _execute(statement, *values).fetchone()
    assert row is not None, "the fixtures are there"
    return row


def _upstream(path: str) -> Any:
    return json.loads(_UPSTREAM.request("GET", path, headers=_HEADERS).data)


def _anonymous(path: str, query: Query) -> Any:
    if path == "/api/auth/cli/check":
        return {"status": _row(_LOGIN, query["code"])[2]}
    code, secret = os.urandom(4).hex(), os.urandom(16).hex()
    _execute(_NEW_LOGIN, uuid.uuid4(), code, hashlib.sha256(secret.encode()).digest())
    return {"code": code, "secret": secret}


def _known(path: str, query: Query, user: object) -> Any:
    if path == "/api/integrations":
        return _INTEGRATIONS
    if path == "/api/deploy/status":
        app, state, commit, *_ = _row(_LATEST, user, query["appName"])
        return {"status": state, "url": f"https://{app}.fly.dev", "commit": commit}
    if path == "/api/deploy/logs":
        *_, build, length = _row(_LATEST, user, query["appName"])
        log = "".join(text for (text,) in _execute(_TAIL, build, length - 100_000))[-100_000:]
        return {"buildLog": log, "serviceLogs": None}
    if path.startswith("/api/credentials/"):
        answer = _upstream(f"/connections/{query['connection_id']}?provider_config_key=ten")
        raw = answer["credentials"]
        return {"token": raw["access_token"], "connectionConfig": answer["connection_config"], "raw": raw}
    key = path.split("/")[3]
    return _upstream(f"/connections?tags%5Bend_user_id%5D={user}&integrationId={key}")["connections"]


def application(environ: dict[str, Any], start_response: "StartResponse") -> list[bytes]:
    path, query = environ["PATH_INFO"], dict(parse_qsl(environ["QUERY_STRING"]))
    if path.startswith("/api/auth/"):
        data = _anonymous(path, query)
    else:
        token = environ["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
        data = _known(path, query, _row(_CALLER, hashlib.sha256(token.encode()).digest())[1])
    body = data if isinstance(data, bytes) else json.dumps({"data": data}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
