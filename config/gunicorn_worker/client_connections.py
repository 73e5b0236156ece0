"""One client's connection: what has come of its next request, and whether that is all a thread needs to serve it.

Heads and small bodies are collected here, in the main loop of gunicorn's worker; large ones are read by the
thread that keeps them. gunicorn's own parser has the last word about what a request is.
"""

import re
import socket
import time
from collections import Counter
from collections.abc import Collection
from io import BytesIO
from typing import Any, Literal

from gunicorn.http import errors
from gunicorn.http.body import LengthReader
from gunicorn.http.unreader import SocketUnreader

from config.gunicorn_worker.client_sockets import ClientSocket
from config.gunicorn_worker.http_messages import ComingRequest
from core.request_context import NETWORK_SHARES, networks_of, plain_address
from core.streamed_bodies import LARGE_BODIES, SLOWEST_RATE, SMALL_BODY

# Seconds for the head and the body of a request to come; what came earns it more.
REQUEST_SECONDS = 10
# Bytes of a head, and of a small body with all that chunks add to it.
_LONGEST_HEAD, _MOST_ON_THE_WIRE = 64 << 10, SMALL_BODY * 4
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_LONGEST_CHUNK_LINE = 8190
# Of each the parser takes some microseconds; 32 bytes of the largest body are in one on average.
_MOST_CHUNKS = SMALL_BODY // 32
# int() takes more than the parser does: a sign above all, with which a chunk would end before it begins.
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]+")


class Incomplete(TimeoutError):
    """More was read than had come: an OSError, like all that Django expects of a body."""


class BodyTooLarge(Exception):
    """413: a body in chunks that is too large, or of which most is not body."""


class Unreader(SocketUnreader):  # type: ignore[misc]  # gunicorn is untyped
    """What has come on a connection and was not read; with `is_large`, more is waited for.

    It adds up how many seconds the client has let us wait; every 64 KB earn it another one.
    """

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.begin_request()

    def begin_request(self) -> None:
        """Forget what came before, except for what was not read."""
        self.waited = 0.0
        self.earned = 0.0
        self.is_large = False
        self.owes_continue = False

    def read(self, size: int | None = None, read_ahead: int | None = None) -> bytes:
        """The next bytes; of no certain number, as few as a socket would give.

        gunicorn copies what lies behind each chunk's first line, so a large heap of tiny chunks would take minutes.
        """
        if size is None and self.held > (few := max(self.mxchunk, read_ahead or 0)):
            size = few
        received: bytes = super().read(size, read_ahead)
        return received

    def chunk(self, size_hint: int | None = None) -> bytes:
        """The next bytes. Raises TimeoutError."""
        if not self.is_large:
            raise Incomplete
        if self.waited > REQUEST_SECONDS + self.earned:
            raise TimeoutError
        if self.owes_continue:
            # Only now does anybody want the body (RFC 9110, section 10.1.1).
            self.owes_continue = False
            self.sock.sendall(_CONTINUE)
        began = time.monotonic()
        try:
            received: bytes = super().chunk(size_hint)
        except BlockingIOError:
            raise TimeoutError from None
        self.waited += time.monotonic() - began
        self.earned += len(received) / SLOWEST_RATE
        return received

    def add(self, received: bytes) -> None:
        """Put what came behind what is there."""
        self.buf.seek(0, 2)
        self.buf.write(received)

    @property
    def held(self) -> int:
        """Bytes that have come and were not read."""
        return int(self.buf.seek(0, 2))


class Chunks:
    """Tells when a body in chunks has come to its end (RFC 9112, section 7.1). It refuses only what is too large."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._skip = 0
        self._size = 0
        self._count = 0
        self._in_trailers = False

    def have_ended(self, received: bytes) -> bool:
        """Whether more than `received` is of no use: it is whole, or the parser refuses it. Raises BodyTooLarge."""
        at = 0
        while at < len(received):
            if self._skip:
                step = min(self._skip, len(received) - at)
                at, self._skip = at + step, self._skip - step
                continue
            end = received.find(b"\n", at)
            self._line += received[at : end + 1] if end >= 0 else received[at:]
            if end < 0:
                return len(self._line) > _LONGEST_CHUNK_LINE
            at = end + 1
            line = bytes(self._line)
            self._line.clear()
            if self._in_trailers:
                if line == b"\r\n":
                    return True
            elif self._begin_chunk(line):
                return True
        return False

    def _begin_chunk(self, line: bytes) -> bool:
        digits = line.partition(b";")[0].strip(b" \t\r\n")
        if not _CHUNK_SIZE.fullmatch(digits):
            return True
        size = int(digits, 16)
        self._size += size
        self._count += 1
        if self._size > SMALL_BODY or self._count > _MOST_CHUNKS:
            raise BodyTooLarge
        self._in_trailers = not size
        self._skip = size + 2 if size else 0
        return False


class Connection:
    """A client's connection; `request` is the one that is served next, as soon as enough of it is there."""

    def __init__(self, sock: ClientSocket, *, client: Any, server: Any) -> None:
        if isinstance(client, tuple):
            # A socket for both families has IPv4 as IPv6, which neither a trusted proxy nor a limit is known by.
            client = (plain_address(client[0]) or client[0], *client[1:])
        # gunicorn's names, for its `handle_request`.
        self.sock, self.client, self.server = sock, client, server
        self.networks = networks_of(client[0] if isinstance(client, tuple) else "")
        self.unreader = Unreader(sock)
        self.request: Any = None
        self.waits_for: Literal["request", "answer", "end"] = "request"
        self.deadline = 0.0
        self.keeps = False
        # Bytes that a client who was hung up on may still send.
        self.last_words = 0
        # Bytes that came since it was last served, which the worker adds up for all.
        self.counted = 0
        self._served = 0
        self._begin()

    def _begin(self) -> None:
        self.request = None
        self.began: float | None = None
        self._came = 0
        self._searched = 0
        self._chunks: Chunks | None = None

    def collect(self, cfg: Any, received: bytes = b"") -> bool:
        """Take in what came; whether a thread can serve the request now. Raises gunicorn's errors and BodyTooLarge."""
        if received:
            self.unreader.add(received)
        if self.began is None and self.unreader.held:
            self.began = time.monotonic()
        self._came += len(received)
        if self.request is None:
            held = self.unreader.buf.getvalue()
            if not self._has_head(held) or not self._parse(cfg, held):
                return False
            received = self.unreader.buf.getvalue()
        return self._has_body(received)

    def seconds_left(self, *, idle: float) -> float:
        """How long the rest of the request may take to come; `idle` while nothing of it has."""
        if self.began is None:
            return idle
        return self.began + REQUEST_SECONDS + self._came / SLOWEST_RATE - time.monotonic()

    def end_request(self) -> bool:
        """Drop what was not read of the body; whether the next request begins right behind."""
        self.unreader.begin_request()
        body = self.request.body
        if isinstance(body.reader, LengthReader) and not body.reader.length:
            self._begin()
            return True
        try:
            while not body.failed and body.read(1 << 16):
                pass
        except Exception:  # noqa: BLE001 - not all of it came, or its chunks don't add up
            return False
        ended = not body.failed
        self._begin()
        return ended

    def _has_head(self, held: bytes) -> bool:
        new = held[max(0, self._searched - 3) :] if self._searched else held
        self._searched = len(held)
        # A line that ends otherwise, or never, is refused before the head has come to its end.
        if b"\r\n\r\n" in new or new.count(b"\n") != new.count(b"\r\n"):
            return True
        if len(held) > _LONGEST_HEAD:
            if b"\r\n" not in held:
                raise errors.LimitRequestLine(len(held), _LONGEST_HEAD)
            raise errors.LimitRequestHeaders("all headers together")
        return len(held) > _LONGEST_CHUNK_LINE and b"\r\n" not in held

    def _parse(self, cfg: Any, held: bytes) -> bool:
        try:
            self.request = ComingRequest(cfg, self.unreader, self.client, self._served + 1)
        except Incomplete:
            self.unreader.buf = BytesIO(held)
            return False
        self._served += 1
        return True

    def _has_body(self, received: bytes) -> bool:
        request = self.request
        reader = request.body.reader
        expects, request._expected_100_continue = request._expected_100_continue, False  # noqa: SLF001 - gunicorn would send it before a body is wanted
        has_length = isinstance(reader, LengthReader)
        if has_length and self.unreader.held >= reader.length:
            return True
        if request.path in LARGE_BODIES:
            self.unreader.is_large, self.unreader.owes_continue = True, expects
            return True
        if has_length and reader.length > SMALL_BODY:
            return True  # which the application refuses unread
        if not has_length:
            self._chunks = self._chunks or Chunks()
            if self._chunks.have_ended(received):
                return True
        if self.unreader.held > _MOST_ON_THE_WIRE:
            raise BodyTooLarge
        if expects:
            self.sock.sendall(_CONTINUE)
        return False


def oldest_of_crowd(connections: Collection[Connection]) -> Connection | None:
    """The first one of the network that has most of them for its size: a /48 may have four times as many as a /64."""
    crowds: Counter[tuple[str, int]] = Counter()
    for connection in connections:
        crowds.update(zip(connection.networks, NETWORK_SHARES, strict=False))
    if not crowds:
        return None
    crowded, _ = max(crowds, key=lambda crowd: crowds[crowd] / crowd[1])
    return next(connection for connection in connections if crowded in connection.networks)
