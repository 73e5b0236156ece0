"""The machine's nginx on loopback, with a server block as the documents have it, and services to stand behind it."""

import re
import socket
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import urllib3

from dev.ports import LOOPBACK, free_port
from dev.programs import nginx_path

_ROOT = Path(__file__).resolve().parent.parent
# One process that serves by itself and keeps all that it writes in its folder.
_FRAME = """
daemon off; master_process off; pid {folder}/pid; error_log stderr warn;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    {server}
}}
"""


def blocks(document: str, language: str) -> list[str]:
    """The blocks of code in this language that a document has."""
    text = (_ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


class Service:
    """A service that says what it was sent, and remembers how often it was asked. `url` is its address."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = [(name.lower(), value) for name, value in self.headers.items()]
                service.asked.append({"path": self.path, "headers": headers, "body": body})
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://{LOOPBACK}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Proxy:
    """nginx with one server block of a document, whose addresses are replaced as `places` says."""

    def __init__(self, block: str, places: dict[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self._folder = tempfile.TemporaryDirectory(prefix="crayon-nginx-")
        server = block.replace("listen 80;", f"listen {LOOPBACK}:{self.port};")
        assert server != block
        for written, real in places.items():
            assert written in server, f"the document's block doesn't name {written}"
            server = server.replace(written, real)
        self._file = Path(self._folder.name) / "nginx.conf"
        self._file.write_text(_FRAME.format(folder=self._folder.name, server=server))
        self._process: subprocess.Popen[bytes] | None = None
        self._http = urllib3.PoolManager(retries=False, timeout=15)

    def __enter__(self) -> Self:
        log = (Path(self._folder.name) / "log").open("wb")
        command = [str(nginx_path()), "-p", self._folder.name, "-e", "stderr", "-c", str(self._file)]
        with log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection((LOOPBACK, self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return self
        said = self.log
        self.__exit__(None, None, None)
        raise AssertionError(f"nginx did not start:\n{said}")

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.clear()
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=10)
        self._folder.cleanup()

    @property
    def log(self) -> str:
        return (Path(self._folder.name) / "log").read_text(errors="replace")

    def request(self, method: str, path: str, token: str = "", **options: Any) -> urllib3.BaseHTTPResponse:
        """Ask through the proxy."""
        headers = dict(options.pop("headers", {}))
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return self._http.request(method, f"{self.url}{path}", headers=headers, **options)
