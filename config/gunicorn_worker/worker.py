"""gunicorn's worker: threads for requests that have come, and one loop for all the waiting.

The main loop collects heads and small bodies, and sends what a client does not take of its answer at once. So a
thread is never kept by somebody slow, except by the few who may send a large body at a time. All of it has a
limit, and a view may still take as long as it likes. Of hundreds of requests at once, two in each turn of the loop
get a thread. What can't be parsed gets our words.
"""

import errno
import resource
import socket
import struct
import time
from concurrent.futures import Future
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from config.gunicorn_worker.client_connections import REQUEST_SECONDS, Connection, Unreader, oldest_of_crowd
from config.gunicorn_worker.client_sockets import ClientSocket
from config.gunicorn_worker.refusals import CRASHED, RequestTooSlow, TooBusy, answer_of, refusal_of
from config.gunicorn_worker.request_queue import RequestQueue
from core.request_context import begin_unread_request
from core.streamed_bodies import SLOWEST_RATE

__all__ = ["REQUEST_SECONDS", "Unreader", "Worker"]

# Seconds: for the next bytes of a large body, for a client to take its answer (every 64 KB earn another one), for it
# to hang up after we did, and between two looks at who has waited too long.
READ_SECONDS, WRITE_SECONDS, LEAVE_SECONDS, LOOK_SECONDS = 5, 30, 2, 0.25
_LAST_WORDS = 1 << 20
# Seconds that connections without a request stay open while the worker stops.
_LINGER_SECONDS = 2
# Bytes of bodies that all may have in memory together until they are served; a small share is everybody's.
_COLLECTED, _SHARE = 64 << 20, 64 << 10
# In one turn of the loop: connections taken (the rest is for the other processes or the next turn), requests begun.
_ACCEPTED, _BEGUN = 16, 2
# Besides its sockets a worker has files, the database and other services open.
_OPEN_FILES = 8192


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn is untyped
    """Answers what can't be parsed as JSON, without saying or logging what was sent.

    gunicorn's own answer is an HTML page that repeats the header it stumbled over, and so does its
    log: with a token in that header, both would carry a secret.

    Of gunicorn's there are the sockets, the loop and its end, the pool of threads, and one request's way through
    WSGI. What of it has no promise to stay is named in `tests/core/test_gunicorn_names.py`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Connections that no thread has; who has waited longest for the same thing comes first.
        self.waiting: dict[Connection, None] = {}
        self.collected = 0
        # Requests that wait for a thread, and how many have one.
        self.ready: RequestQueue[Connection] = RequestQueue()
        self.at_work = 0
        self.looked_at = 0.0
        self.stopping_since: float | None = None

    def init_process(self) -> None:
        """Have room for as many files as there may be connections and more, then serve."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        super().init_process()

    def accept(self, listener: socket.socket) -> None:
        """Take new connections, and let those go that have waited long when there are too many."""
        for _ in range(_ACCEPTED):
            if self.nr_conns >= self.worker_connections or not self._accept_one(listener):
                return

    def _accept_one(self, listener: socket.socket) -> bool:
        try:
            accepted, client = listener.accept()
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}:
                self._make_room()
            elif error.errno not in {errno.EAGAIN, errno.ECONNABORTED}:
                raise
            return False
        if self.nr_conns >= self.worker_connections - 1:
            self._make_room()
        self.nr_conns += 1
        conn = Connection(ClientSocket(accepted), client=client, server=listener.getsockname())
        self._wait(conn, EVENT_READ, self._hear, seconds=self.cfg.keepalive)
        self._turn(self._hear, conn, conn.sock)
        return True

    # --- A request comes ----------------------------------------------------------------------

    def _hear(self, conn: Connection, sock: socket.socket) -> None:
        try:
            received = sock.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if not received:
            self._forget(conn)
            return
        self._count(conn, len(received))
        self._collect(conn, received)

    def _collect(self, conn: Connection, received: bytes = b"") -> None:
        try:
            can_be_served = conn.collect(self.cfg, received)
            if self.collected > _COLLECTED and conn.counted > _SHARE:
                raise TooBusy  # noqa: TRY301 - refused like what can't be parsed
        except Exception as error:  # noqa: BLE001 - whatever it is, it gets an answer
            self._refuse(conn, error)
            return
        if can_be_served:
            self._stop_waiting(conn)
            self.enqueue_req(conn)
        else:
            conn.deadline = time.monotonic() + conn.seconds_left(idle=self.cfg.keepalive)

    def _refuse(self, conn: Connection, error: Exception) -> None:
        self._stop_waiting(conn)
        self._uncount(conn)
        self.handle_error(None, conn.sock, conn.client, error)
        conn.keeps = False
        self._finish_answer(conn)

    # --- A thread serves it -------------------------------------------------------------------

    def enqueue_req(self, conn: Connection) -> None:
        """Put the request into the queue for a thread."""
        self.ready.add(conn)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """One turn of the loop, at whose end two requests get a thread.

        The busier the threads are, the longer a turn takes: what comes is taken in before all threads run for the
        interpreter at once, which would slow each of them and the loop down.
        """
        super().wait_for_and_dispatch_events(0 if self._can_begin() else timeout)
        for _ in range(_BEGUN):
            if self._can_begin():
                self._begin(self.ready.take())

    def _can_begin(self) -> bool:
        return bool(self.ready) and self.at_work < self.cfg.threads

    def _begin(self, conn: Connection) -> None:
        try:
            super().enqueue_req(conn)
        except RuntimeError:
            self.log.exception("no thread for a request")
            self._forget(conn)
        else:
            self.at_work += 1

    def handle(self, conn: Connection) -> bool:
        """Have Django answer, in a thread; gives whether the connection can be kept."""
        try:
            if conn.unreader.is_large:
                _limit_waiting(conn.sock)
            return bool(self.handle_request(conn.request, conn)) and conn.end_request()
        except StopIteration:
            return False
        except TimeoutError:
            self._gave_up(conn)
        except (BrokenPipeError, ConnectionError):
            self.log.debug("whoever sent it is gone")
        except Exception as error:  # noqa: BLE001 - the same
            self.handle_error(conn.request, conn.sock, conn.client, error)
        return False

    def finish_request(self, conn: Connection, fs: "Future[bool]") -> None:
        """Keep the connection, or hang up, as soon as the answer is sent; in the main loop."""
        self.at_work -= 1
        self._uncount(conn)
        conn.keeps = not fs.cancelled() and not fs.exception() and fs.result()
        self._finish_answer(conn)

    # --- Its answer goes out ------------------------------------------------------------------

    def _finish_answer(self, conn: Connection) -> None:
        try:
            if conn.sock.gettimeout() != 0:
                conn.sock.setblocking(False)
            if not conn.sock.unsent or conn.sock.send_more():
                self._begin_next(conn)
            else:
                conn.waits_for = "answer"
                self._wait(conn, EVENT_WRITE, self._send_more, seconds=WRITE_SECONDS + conn.sock.kept / SLOWEST_RATE)
        except (OSError, ValueError):
            self._forget(conn)

    def _send_more(self, conn: Connection, sock: ClientSocket) -> None:
        try:
            is_sent = sock.send_more()
        except OSError:
            self._forget(conn)
            return
        if is_sent:
            self._stop_waiting(conn)
            self._begin_next(conn)

    def _begin_next(self, conn: Connection) -> None:
        if not conn.keeps:
            self._leave(conn)
            return
        conn.waits_for = "request"
        self._wait(conn, EVENT_READ, self._hear, seconds=self.cfg.keepalive)
        if conn.unreader.held:
            self._count(conn, conn.unreader.held)
            self._collect(conn)

    def _leave(self, conn: Connection) -> None:
        """Hang up, and read for a while what the client still sends, or it might not see our answer (RFC 9112, 9.6)."""
        conn.waits_for, conn.last_words = "end", _LAST_WORDS
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            self._wait(conn, EVENT_READ, self._hear_out, seconds=LEAVE_SECONDS)
        except (OSError, ValueError):
            self._forget(conn)

    def _hear_out(self, conn: Connection, sock: socket.socket) -> None:
        try:
            received = len(sock.recv(1 << 16))
        except BlockingIOError:
            return
        except OSError:
            received = 0
        conn.last_words -= received
        if not received or conn.last_words <= 0:
            self._forget(conn)

    # --- Waiting ------------------------------------------------------------------------------

    def _wait(self, conn: Connection, event: int, then: Any, *, seconds: float) -> None:
        conn.deadline = time.monotonic() + seconds
        self.waiting[conn] = None
        self.poller.register(conn.sock, event, partial(self._turn, then, conn))

    def _turn(self, then: Any, conn: Connection, sock: ClientSocket) -> None:
        """Go on with a connection, unless it was let go in the same turn of the loop, which nothing may end."""
        if conn not in self.waiting:
            return
        try:
            then(conn, sock)
        except Exception:
            self.log.exception("a connection was lost")
            self._forget(conn)

    def _stop_waiting(self, conn: Connection) -> None:
        del self.waiting[conn]
        self.poller.unregister(conn.sock)

    def _count(self, conn: Connection, came: int) -> None:
        conn.counted += came
        self.collected += came

    def _uncount(self, conn: Connection) -> None:
        self.collected -= conn.counted
        conn.counted = 0

    def _forget(self, conn: Connection) -> None:
        self._uncount(conn)
        if self.waiting.pop(conn, conn) is None and conn.sock.fileno() in self.poller.get_map():
            self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.sock.close()

    def _make_room(self) -> None:
        """Close the oldest waiting connection of the network that has most."""
        if oldest := oldest_of_crowd(self.waiting):
            self._forget(oldest)

    def murder_pending(self) -> None:
        """End what has waited long enough; gunicorn calls it after each turn of its loop."""
        now = time.monotonic()
        if now < self.looked_at + LOOK_SECONDS:
            return
        self.looked_at = now
        if not self.alive:
            self.stopping_since = self.stopping_since or now
        for conn in list(self.waiting):
            is_idle = conn.waits_for == "request" and conn.began is None
            if conn.deadline <= now or (
                is_idle and self.stopping_since and self.stopping_since + _LINGER_SECONDS <= now
            ):
                self._end_waiting(conn)

    def _end_waiting(self, conn: Connection) -> None:
        if conn.waits_for == "request" and conn.began is not None:
            self._refuse(conn, RequestTooSlow())
            return
        if conn.waits_for == "answer":
            self._gave_up(conn)
            conn.sock.cut_off()
        self._forget(conn)

    # --- What is said instead of an answer ----------------------------------------------------

    def _gave_up(self, conn: Connection) -> None:
        self.log.warning("gave up on a request from %s: too slow", _shown(conn.client))

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:  # noqa: ARG002 - gunicorn's
        """Refuse; the connection is closed afterwards."""
        request_id = begin_unread_request()
        refusal = refusal_of(exc)
        if refusal:
            self.log.warning("refused a request from %s: %s", _shown(addr), type(exc).__name__)
        else:
            self.log.error("a request from %s failed", _shown(addr), exc_info=exc)
        try:
            client.sendall(answer_of(refusal or CRASHED, request_id=request_id))
        except OSError:
            self.log.debug("whoever sent it is gone")


def _shown(address: Any) -> str:
    return str(address[0]) if address else "-"


def _limit_waiting(sock: socket.socket) -> None:
    """Let a thread wait for the next bytes, limited by the kernel: Python's own timeouts cost a poll() for each."""
    sock.setblocking(True)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", READ_SECONDS, 0))
