"""Requests as bytes on a socket, for what no HTTP library would send."""

import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from tests.gunicorn_process import GunicornProcess


@dataclass(frozen=True)
class WireAnswer:
    """What came back; `status` is 0 when the server closed without a word."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def sentence(self) -> str:
        assert self.headers["content-type"] == "application/json", self
        body = json.loads(self.body)
        assert list(body) == ["error"], self
        return str(body["error"])


def send(server: GunicornProcess, *parts: bytes, close_early: bool = False) -> WireAnswer:
    """Send the parts one after the other on a new connection; gives the first answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=15) as connection:
        for part in parts:
            try:
                connection.sendall(part)
            except (BrokenPipeError, ConnectionResetError):
                break
        if close_early:
            return WireAnswer(0, {}, b"")
        return read_answer(connection)


def read_answer(connection: socket.socket) -> WireAnswer:
    """The next answer on the connection."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            return WireAnswer(0, {}, received)
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", 0))
    while len(body) < length and (piece := connection.recv(65536)):
        body += piece
    return WireAnswer(int(first.split(" ")[1]), headers, body)


def request(
    method: str, path: str, *lines: str, host: str = "localhost", body: bytes = b"", length: bool = True
) -> bytes:
    """A request with its body's length, unless the lines say something else about it."""
    head = [f"{method} {path} HTTP/1.1", *([f"Host: {host}"] if host else []), *lines]
    if body and length:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


def chunks(pieces: Iterable[bytes]) -> bytes:
    """The pieces in the chunked coding (RFC 9112, section 7.1)."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
