"""Asking a released app whether it answers: once, at its own address, wherever it would send us."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deployments.services.building import readiness


class Redirecting(BaseHTTPRequestHandler):
    """An app that sends whoever asks to somewhere else: to another host, or to another path of its own."""

    status = 302
    asked: list[str]
    location: str

    def do_GET(self) -> None:
        self.asked.append(f"{self.headers['Host']}{self.path}")
        self.send_response(self.status)
        self.send_header("Location", self.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def app() -> Iterator[tuple[type[Redirecting], str]]:
    """The app and its address."""
    handler = type("App", (Redirecting,), {"asked": [], "location": "/"})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield handler, f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location", ["/private", "http://{host}/private", "http://localhost:{port}/private", "//[::1]/"]
)
def test_an_app_that_redirects_is_up_and_is_not_followed(app, status, location):
    handler, host = app
    handler.status, handler.location = status, location.format(host=host, port=host.partition(":")[2])

    assert readiness.answers(f"http://{host}")

    assert handler.asked == [f"{host}/"]
