"""A sandbox for its own tests: no Django, no database."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import urllib3

from tests.sandbox.actors import GitHubClient, NangoClient, Receiver
from tests.sandbox_process import SandboxProcess


@pytest.fixture(scope="session")
def _process() -> Iterator[SandboxProcess]:
    with SandboxProcess() as process:
        yield process
        assert process.complaints == "", "no request may end in an error of the sandbox itself"


@pytest.fixture
def sandbox_process(_process: SandboxProcess) -> SandboxProcess:
    """A running sandbox, as new."""
    _process.reset()
    return _process


@pytest.fixture
def http() -> Iterator[urllib3.PoolManager]:
    """A client that follows nothing and tries nothing twice."""
    with urllib3.PoolManager(retries=False, timeout=20) as pool:
        yield pool


@pytest.fixture
def nango(sandbox_process: SandboxProcess, http: urllib3.PoolManager) -> NangoClient:
    """The stand-in for Nango, with the API key."""
    return NangoClient(sandbox_process.nango_url, http)


@pytest.fixture
def github(sandbox_process: SandboxProcess, http: urllib3.PoolManager) -> GitHubClient:
    """The stand-in for GitHub."""
    return GitHubClient(sandbox_process.github_url, http)


@pytest.fixture
def receiver(sandbox_process: SandboxProcess) -> Iterator[Receiver]:
    """A receiver that the sandbox sends its webhooks to."""
    held = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            held.got.append((dict(self.headers.items()), raw))
            self.send_response(held.statuses.pop(0) if held.statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    held.url = f"http://127.0.0.1:{server.server_port}/webhooks/nango"
    sandbox_process.settings(webhook_url=held.url, webhook_retry_seconds=0)
    yield held
    server.shutdown()
    thread.join()
    server.server_close()
