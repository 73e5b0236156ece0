"""A store that speaks as much of S3 as this server asks for, on loopback: objects in memory, nothing is authorized.

(https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html)
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from urllib.parse import parse_qs, unquote, urlsplit

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class Store(ThreadingHTTPServer):
    """`objects` are the bytes by "bucket/key"; with `refuses` every request gets that status."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.asked: list[str] = []
        self.refuses = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Store

    def do_PUT(self) -> None:
        body, query = self._body(), self._begun()
        if query is None:
            return
        if "uploadId" in query:
            self.server.parts[query["uploadId"]][int(query["partNumber"])] = body
        else:
            self.server.objects[self._key()] = body
        self._answer(200, headers={"ETag": '"tag"'})

    def do_POST(self) -> None:
        self._body()
        query = self._begun()
        if query is None:
            return
        if "uploads" in query:
            upload = f"upload-{len(self.server.parts)}"
            self.server.parts[upload] = {}
            self._answer(200, f"<R><UploadId>{upload}</UploadId></R>".encode())
        else:
            parts = self.server.parts.pop(query["uploadId"])
            self.server.objects[self._key()] = b"".join(parts[number] for number in sorted(parts))
            self._answer(200, b"<R><ETag>tag</ETag></R>")

    def do_GET(self) -> None:
        if self._begun() is None:
            return
        found = self.server.objects.get(self._key())
        if found is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        headers = {"ETag": '"tag"', "Content-Type": "application/x-tar", "Content-Encoding": "gzip"}
        if asked := _RANGE.match(self.headers.get("Range", "")):
            begin, end = int(asked[1]), int(asked[2] or len(found) - 1)
            headers["Content-Range"] = f"bytes {begin}-{end}/{len(found)}"
            self._answer(206, memoryview(found)[begin : end + 1], headers)
        else:
            self._answer(200, found, headers)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        if self._begun() is None:
            return
        self.server.objects.pop(self._key(), None)
        self._answer(204)

    def _begun(self) -> dict[str, str] | None:
        """The query; None when the request was refused."""
        parts = urlsplit(self.path)
        self.server.asked.append(f"{self.command} {unquote(parts.path)}")
        if self.server.refuses:
            self._answer(self.server.refuses, b"<Error><Code>Refused</Code></Error>")
            return None
        return {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}

    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).removeprefix("/")

    def _body(self) -> bytes:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "STREAMING" not in self.headers.get("x-amz-content-sha256", ""):
            return sent
        # Chunks with a checksum behind them (AWS's "Signature calculations with trailing headers").
        stream, body = BytesIO(sent), b""
        while size := int(stream.readline().split(b";")[0], 16):
            body += stream.read(size)
            stream.readline()
        return body

    def _answer(self, status: int, body: bytes | memoryview = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@contextmanager
def running_store() -> Iterator[Store]:
    """A store that answers until the block ends."""
    with Store() as store:
        thread = threading.Thread(target=store.serve_forever)
        thread.start()
        try:
            yield store
        finally:
            store.shutdown()
            thread.join()
