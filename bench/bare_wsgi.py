"""The first yardstick: a bare WSGI application under the same gunicorn, with the same query and upstream call.

No framework, no checks, no limits, no logs: what Python, gunicorn, psycopg and urllib3 cost by themselves.
"""

import hashlib
import json
import os
import threading
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import psycopg
import urllib3

if TYPE_CHECKING:
    from wsgiref.types import StartResponse

Environ = dict[str, Any]
Query = dict[str, list[str]]

_UPSTREAM = urllib3.connection_from_url(os.environ["UPSTREAM"], maxsize=64)
_HEADERS = {"Authorization": f"Bearer {os.environ['NANGO_SECRET_KEY']}"}
_LOCAL = threading.local()
_INTEGRATIONS = json.dumps({"data": [{"id": f"kind-{n}", "provider": "github"} for n in range(7)]}).encode()
_CALLER = (
    "SELECT t.id, u.id, u.is_active, o.slug FROM accounts_accesstoken t JOIN accounts_user u ON u.id = t.user_id "
    "JOIN accounts_organization o ON o.id = t.organization_id WHERE t.digest = %s"
)


_LATEST = (
    "SELECT d.fly_app_id, b.state, b.commit, b.id, b.log_length FROM deployments_deployment d "
    "JOIN deployments_build b ON b.deployment_id = d.id WHERE d.owner_id = %s AND d.app_name = %s "
    "ORDER BY b.created_at DESC LIMIT 1"
)
_TAIL = "SELECT text FROM deployments_buildlogchunk WHERE build_id = %s AND start + length(text) > %s ORDER BY start"


def _cursor() -> psycopg.Cursor:
    if not hasattr(_LOCAL, "connection"):
        _LOCAL.connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
    cursor: psycopg.Cursor = _LOCAL.connection.cursor()
    return cursor


def _row(cursor: psycopg.Cursor) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = cursor.fetchone()
    assert row is not None, "the fixtures are there"
    return row


def _caller(environ: Environ) -> tuple[Any, ...]:
    token = environ["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    with _cursor() as cursor:
        return _row(cursor.execute(_CALLER, [hashlib.sha256(token.encode()).digest()]))


def _check(environ: Environ, query: Query) -> bytes:
    with _cursor() as cursor:
        cursor.execute("SELECT id, secret_digest, state FROM accounts_clilogin WHERE code = %s", [query["code"][0]])
        return json.dumps({"data": {"status": _row(cursor)[2]}}).encode()


def _session(environ: Environ, query: Query) -> bytes:
    code, secret = os.urandom(4).hex(), os.urandom(16).hex()
    with _cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_clilogin (id, code, secret_digest, state, client_name, hostname, user_agent, "
            "created_at, expires_at) VALUES (%s, %s, %s, 'pending', '', '', '', now(), now() + interval '5 minutes') "
            "ON CONFLICT DO NOTHING",
            [uuid.uuid4(), code, hashlib.sha256(secret.encode()).digest()],
        )
    return json.dumps({"data": {"code": code, "secret": secret}}).encode()


def _integrations(environ: Environ, query: Query) -> bytes:
    _caller(environ)
    return _INTEGRATIONS


def _upstream(path: str) -> bytes:
    return _UPSTREAM.request("GET", path, headers=_HEADERS).data


def _credentials(environ: Environ, query: Query) -> bytes:
    _caller(environ)
    answer = json.loads(_upstream(f"/connections/{query['connection_id'][0]}?provider_config_key=ten"))
    raw = answer["credentials"]
    data = {"token": raw["access_token"], "connectionConfig": answer["connection_config"], "raw": raw}
    return json.dumps({"data": data}).encode()


def _status(environ: Environ, query: Query) -> bytes:
    user = _caller(environ)[1]
    with _cursor() as cursor:
        row = _row(cursor.execute(_LATEST, [user, query["appName"][0]]))
    return json.dumps({"data": {"status": row[1], "url": f"https://{row[0]}.fly.dev", "commit": row[2]}}).encode()


def _log(environ: Environ, query: Query) -> bytes:
    user = _caller(environ)[1]
    with _cursor() as cursor:
        build, length = _row(cursor.execute(_LATEST, [user, query["appName"][0]]))[3:5]
        cursor.execute(_TAIL, [build, length - 100_000])
        log = "".join(text for (text,) in cursor)[-100_000:]
    return json.dumps({"data": {"buildLog": log, "serviceLogs": None}}).encode()


def _connections(environ: Environ, query: Query) -> bytes:
    user = _caller(environ)[1]
    key = environ["PATH_INFO"].split("/")[3]
    answer = json.loads(_upstream(f"/connections?tags%5Bend_user_id%5D={user}&integrationId={key}"))
    return json.dumps({"data": answer["connections"]}).encode()


def application(environ: Environ, start_response: "StartResponse") -> list[bytes]:
    path, query = environ["PATH_INFO"], parse_qs(environ["QUERY_STRING"])
    if path == "/api/auth/cli/check":
        body = _check(environ, query)
    elif path == "/api/auth/cli/session":
        body = _session(environ, query)
    elif path == "/api/integrations":
        body = _integrations(environ, query)
    elif path == "/api/deploy/status":
        body = _status(environ, query)
    elif path == "/api/deploy/logs":
        body = _log(environ, query)
    elif path.startswith("/api/credentials/"):
        body = _credentials(environ, query)
    else:
        body = _connections(environ, query)
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
