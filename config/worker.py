"""gunicorn's worker, with our words for requests that never reach Django, and an end to waiting.

gunicorn's `timeout` says nothing about a thread that waits for a client, and it has only so many
threads. So nobody has one while nothing of a request has come, every read and write has a limit, and so
has all the waiting for one request. A view may still take as long as it likes.
"""

import socket
import struct
import time
from concurrent.futures import Future
from functools import partial
from selectors import EVENT_READ
from typing import Any

import orjson
from gunicorn.http import errors
from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import _DEFER, ThreadWorker

from config.core.bodies import LARGE_BODIES, SLOWEST_RATE
from config.core.requests import REQUEST_ID_HEADER, begin_unread_request

# Seconds: for the next bytes of a request, for all of them (large bodies earn more), for a client to take some
# of the answer, and for it to hang up after we did.
READ_SECONDS, REQUEST_SECONDS, WRITE_SECONDS, LEAVE_SECONDS = 5, 10, 30, 2
_LAST_WORDS = 1 << 20

_TOO_LONG = "The address or the headers of this request are too long. Shorten them and try again."
_TOO_SLOW = "This request took too long to arrive."
_UNREADABLE = "This is not a request that can be read."
_CRASHED = "Something went wrong on our side. Please try again."


class HeadTooSlow(Exception):
    """408: the request's head did not come in time."""


_OUR_OWN = (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName)
_REFUSALS: tuple[tuple[tuple[type[Exception], ...], tuple[int, str, str]], ...] = (
    ((HeadTooSlow,), (408, "Request Timeout", _TOO_SLOW)),
    ((errors.LimitRequestLine,), (414, "URI Too Long", _TOO_LONG)),
    ((errors.LimitRequestHeaders,), (431, "Request Header Fields Too Large", _TOO_LONG)),
    ((errors.ParseException,), (400, "Bad Request", _UNREADABLE)),
)


class Unreader(SocketUnreader):  # type: ignore[misc]  # gunicorn is untyped
    """Reads a request from a socket, and adds up how many seconds the client has let us wait.

    With `is_large`, every 64 KB that came of the body earn it another second.
    """

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.begin_request()

    def begin_request(self) -> None:
        """Forget what came before."""
        self.waited = 0.0
        self.earned = 0.0
        self.is_large = False

    def chunk(self, size_hint: int | None = None) -> bytes:
        """The next bytes. Raises TimeoutError, an OSError like all that Django expects of a body."""
        if self.waited > REQUEST_SECONDS + self.earned:
            raise TimeoutError
        began = time.monotonic()
        try:
            received: bytes = super().chunk(size_hint)
        except BlockingIOError:
            raise TimeoutError from None
        self.waited += time.monotonic() - began
        if self.is_large:
            self.earned += len(received) / SLOWEST_RATE
        return received


class Parser(RequestParser):  # type: ignore[misc]  # gunicorn is untyped
    """The requests of one connection, each with its own time to come. Raises HeadTooSlow."""

    def __init__(self, cfg: Any, sock: socket.socket, address: Any) -> None:
        super().__init__(cfg, sock, address)
        self.unreader = Unreader(sock)

    def __next__(self) -> Any:
        self.unreader.begin_request()
        try:
            return super().__next__()
        except TimeoutError:
            raise HeadTooSlow from None


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn is untyped
    """Answers what can't be parsed as JSON, without saying or logging what was sent.

    gunicorn's own answer is an HTML page that repeats the header it stumbled over, and so does its
    log: with a token in that header, both would carry a secret.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Connections that we have hung up on, and how many bytes more each may send; the oldest first.
        self.leaving: dict[Any, int] = {}

    def handle(self, conn: Any) -> Any:
        """Serve a request, in a thread; a connection that is silent so far waits in the main loop."""
        if conn.parser is None and not self.cfg.is_ssl:
            if not conn.data_ready and _is_silent(conn.sock):
                return _DEFER
            conn.data_ready = True
            _limit_waiting(conn.sock)
            conn.parser = Parser(self.cfg, conn.sock, conn.client)
        return super().handle(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Let Django answer, and give up on a client that takes too long to send or to receive."""
        if isinstance(conn.parser, Parser):
            conn.parser.unreader.is_large = req.path in LARGE_BODIES
        try:
            return super().handle_request(req, conn)
        except (BlockingIOError, TimeoutError):
            self.log.warning("gave up on a request from %s: too slow", _shown(conn.client))
            return False
        finally:
            # What a view left unread is dropped in ordinary time.
            if isinstance(conn.parser, Parser):
                conn.parser.unreader.begin_request()

    def finish_request(self, conn: Any, fs: "Future[Any]") -> None:
        """Keep the connection, or hang up; never wait here, in the main loop, as gunicorn would."""
        if not fs.cancelled() and (fs.exception() or fs.result()):
            super().finish_request(conn, fs)
            return
        self.leaving[conn] = _LAST_WORDS
        conn.timeout = time.monotonic() + LEAVE_SECONDS
        try:
            # What the client still sends is read for a while, or it might not see our answer (RFC 9112, 9.6).
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
            self.poller.register(conn.sock, EVENT_READ, partial(self._hear_out, conn))
        except (OSError, ValueError):
            self._forget(conn)

    def murder_pending(self) -> None:
        """Close what has waited long enough, in gunicorn's list and in ours."""
        super().murder_pending()
        now = time.monotonic()
        while self.leaving and (conn := next(iter(self.leaving))).timeout <= now:
            self._forget(conn)

    def _hear_out(self, conn: Any, sock: socket.socket) -> None:
        try:
            received = len(sock.recv(1 << 16))
        except BlockingIOError:
            return
        except OSError:
            received = 0
        self.leaving[conn] -= received
        if not received or self.leaving[conn] <= 0:
            self._forget(conn)

    def _forget(self, conn: Any) -> None:
        del self.leaving[conn]
        if conn.sock.fileno() in self.poller.get_map():
            self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:  # noqa: ARG002 - gunicorn's
        """Refuse, and close the connection."""
        request_id = begin_unread_request()
        for kinds, refusal in _REFUSALS:
            if isinstance(exc, kinds) and not isinstance(exc, _OUR_OWN):
                self.log.warning("refused a request from %s: %s", _shown(addr), type(exc).__name__)
                return self._answer(client, request_id, *refusal)
        self.log.error("a request from %s failed", _shown(addr), exc_info=exc)
        return self._answer(client, request_id, 500, "Internal Server Error", _CRASHED)

    def _answer(self, client: Any, request_id: str, status: int, reason: str, sentence: str) -> None:
        body = orjson.dumps({"error": sentence})
        head = (
            f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
            f"Cache-Control: no-store\r\nContent-Length: {len(body)}\r\n{REQUEST_ID_HEADER}: {request_id}\r\n\r\n"
        )
        try:
            client.sendall(head.encode("ascii") + body)
        except OSError:
            self.log.debug("whoever sent it is gone")


def _shown(address: Any) -> str:
    return str(address[0]) if address else "-"


def _is_silent(sock: socket.socket) -> bool:
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False  # whoever reads from it next meets the same
    return False


def _limit_waiting(sock: socket.socket) -> None:
    """Limit single reads and writes in the kernel: Python's own timeouts cost a call of poll() for each."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", READ_SECONDS, 0))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", WRITE_SECONDS, 0))
