"""The smallest project, which a machine gets where no scaffold command is set."""

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import urllib3

from clouddev.machine_tokens import Signer, Use
from tests.clouddev.image.booted_machine import IMAGE

pytestmark = pytest.mark.needs_node
_STARTER = IMAGE / "starter"
_APP = "crayon-dev-00000001"


@contextmanager
def _starter(**more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    environment = {"PATH": os.environ["PATH"], "DEV_HOST": "127.0.0.1", "DEV_PORT": "0", "APP_NAME": "shop", **more}
    node = shutil.which("node") or "node"
    with subprocess.Popen(
        [node, "server.js"], cwd=_STARTER, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port = process.stdout.readline().removeprefix("Listening on ").strip(" .\n")
        yield process, f"http://127.0.0.1:{port}"
        process.kill()


@pytest.fixture
def started() -> Iterator[tuple[subprocess.Popen[str], str]]:
    with _starter() as starter:
        yield starter


def test_it_says_that_it_is_well(started: tuple[subprocess.Popen[str], str]) -> None:
    answer = urllib3.request("GET", f"{started[1]}/dev/__health", timeout=10, retries=False)
    assert (answer.status, answer.json()) == (200, {"status": "ok"})


def test_it_says_whose_it_is_and_where_its_code_lies(started: tuple[subprocess.Popen[str], str]) -> None:
    answer = urllib3.request("GET", started[1], timeout=10, retries=False)
    assert (answer.status, answer.data) == (200, b"shop is running. Its code is in /data/app.\n")


@pytest.fixture
def list_of_revoked() -> Iterator[tuple[str, list[str]]]:
    """A server that tells which tokens were revoked: its address, and the list to be told."""
    jtis: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"data": {"jtis": jtis if self.path.endswith(f"?app={_APP}") else []}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", jtis
        server.shutdown()


def _token(use: Use, app: str = _APP, **options: Any) -> str:
    now = options.pop("now", datetime.now(UTC))
    return Signer.from_settings().sign(user_id=uuid.uuid4(), app=app, login="bob", use=use, now=now, **options)


def test_a_webhook_takes_webhook_tokens_of_this_machine_that_were_not_revoked(
    list_of_revoked: tuple[str, list[str]],
) -> None:
    revoked, yesterday = uuid.uuid4(), datetime.now(UTC) - timedelta(days=2)
    list_of_revoked[1].append(str(revoked))
    good = _token(Use.WEBHOOK, jti=uuid.uuid4())
    others = {
        "for the dev UI": _token(Use.BROWSER),
        "for MCP": _token(Use.MCP),
        "for cron": _token(Use.CRON),
        "of another machine": _token(Use.WEBHOOK, app="crayon-dev-00000002"),
        "over": _token(Use.WEBHOOK, now=yesterday),
        "revoked": _token(Use.WEBHOOK, jti=revoked),
        "forged": good[:-8] + "AAAAAAAA",
        "unsigned": f"eyJhbGciOiJub25lIn0.{good.split('.')[1]}.",
        "none": "",
    }
    key = Signer.from_settings().public_key_pem(escaped=True)
    told = {"DEV_UI_JWT_PUBLIC_KEY": key, "FLY_APP_NAME": _APP, "CRAYON_SERVER_URL": list_of_revoked[0]}
    with _starter(**told) as (_process, url):

        def status_with(token: str) -> int:
            headers = {"Authorization": f"Bearer {token}"}
            return urllib3.request("POST", f"{url}/webhooks/x", headers=headers, timeout=10, retries=False).status

        assert status_with(good) == 204
        assert {name: status_with(token) for name, token in others.items()} == dict.fromkeys(others, 401)


def test_it_has_no_other_page(started: tuple[subprocess.Popen[str], str]) -> None:
    assert urllib3.request("GET", f"{started[1]}/.env", timeout=10, retries=False).status == 404


def test_it_ends_when_told_to(started: tuple[subprocess.Popen[str], str]) -> None:
    process, url = started
    urllib3.PoolManager(retries=False).request("GET", url, timeout=10)
    process.terminate()
    assert process.wait(timeout=10) == 0


def test_npm_run_dev_starts_it_on_the_port_that_the_machine_shows() -> None:
    scripts = json.loads((_STARTER / "package.json").read_text())["scripts"]
    assert scripts == {"dev": "node --watch server.js"}
    assert "process.env.DEV_PORT ?? 4173" in (_STARTER / "server.js").read_text()
