"""Connections that have one time limit for their opening, the look-up of the name included, and one for each answer.

The system's resolver knows no limit of ours, and waits for half a minute for a name server that is away; urllib3 gives
each of a name's addresses the whole limit, as a socket does each piece of an answer. Here a look-up has a thread of its
own, which may be left alone with it; the addresses share what is left, and the pieces do.
"""

import io
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from http.client import HTTPResponse
from typing import Any

import urllib3
from django.conf import settings
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.ssl_ import is_ipaddress

_POOL_SIZE = 64
# Look-ups at once, those that nobody waits for any more among them.
_MOST_LOOK_UPS = 16
_look_ups = threading.BoundedSemaphore(_MOST_LOOK_UPS)


def connection_pool(base_url: str) -> HTTPConnectionPool:
    """Connections to one service, kept for the next call; by way of the proxy that the settings name, if they do."""
    trust: dict[str, Any] = {"ca_certs": settings.OUTGOING_CA_FILE} if settings.OUTGOING_CA_FILE else {}
    if settings.OUTGOING_PROXY_URL:
        manager: urllib3.PoolManager = urllib3.ProxyManager(
            settings.OUTGOING_PROXY_URL, maxsize=_POOL_SIZE, retries=False, **trust
        )
    else:
        manager = urllib3.PoolManager(maxsize=_POOL_SIZE, retries=False, **trust)
    pool: HTTPConnectionPool = manager.connection_from_url(base_url)
    pool.ConnectionCls = _TimedTLSConnection if pool.scheme == "https" else _TimedConnection
    return pool


class _Arriving(io.RawIOBase):
    """What a socket receives, until the time that its timeout leaves is over, however many pieces it comes in.

    A socket by itself waits so long for every piece, so that one byte every few seconds holds a thread for hours.
    """

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        self._sock = sock
        self._raw = raw
        self._deadline = time.monotonic() + (sock.gettimeout() or 0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        received: int | None = self._raw.readinto(buffer)
        return received

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(HTTPResponse):
    """An answer whose status line, headers and body must be there in time all together."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Arriving(sock, self.fp.detach()))


class _TimedConnection(HTTPConnection):
    """A connection whose opening, with the look-up of the name, and whose answers each have one time limit."""

    response_class = _TimedResponse

    def _new_conn(self) -> socket.socket:
        seconds = float(self.timeout or 0)
        try:
            return connect(self._dns_host, self.port, seconds=seconds, options=self.socket_options or ())
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"no connection within {seconds} s") from error
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error


class _TimedTLSConnection(_TimedConnection, HTTPSConnection):
    """An HTTPS connection with the same time limits."""


def connect(host: str, port: int, *, seconds: float, options: Sequence[tuple[int, int, int | bytes]]) -> socket.socket:
    """A TCP connection to the first address of `host` that takes one; `options` are for setsockopt.

    Each address has its even share of the time that the ones before it left. The socket's own timeout is what is left
    over. Raises socket.gaierror for a name that can't be found, TimeoutError, or another OSError.
    """
    deadline = time.monotonic() + seconds
    addresses = _addresses(host.strip("[]"), port, deadline=deadline)
    for untried in range(len(addresses), 0, -1):
        try:
            sock = socket.create_connection(addresses[-untried], timeout=_left(deadline) / untried)
        except OSError:
            if untried == 1:
                raise
        else:
            for option in options:
                sock.setsockopt(*option)
            sock.settimeout(_left(deadline))
            return sock
    raise socket.gaierror(socket.EAI_NONAME, "the name has no address")


def _left(deadline: float) -> float:
    """Seconds; never 0, which would mean not to wait at all."""
    return max(deadline - time.monotonic(), 0.001)


def _addresses(host: str, port: int, *, deadline: float) -> list[tuple[str, int]]:
    if is_ipaddress(host):
        return [(host, port)]
    if not _look_ups.acquire(timeout=_left(deadline)):
        raise TimeoutError("too many look-ups of names are under way")
    found: Future[list[Any]] = Future()
    # A daemon: one that hangs must not keep the process from ending.
    look_up = threading.Thread(target=_look_up, args=[host, port, found], daemon=True, name="name look-up")
    try:
        look_up.start()
    except RuntimeError as error:
        _look_ups.release()
        raise OSError("there are no more threads") from error
    return [place[:2] for *_, place in found.result(timeout=_left(deadline))]


def _look_up(host: str, port: int, found: "Future[list[Any]]") -> None:
    try:
        found.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except Exception as error:  # noqa: BLE001 - raised where the result is asked for
        found.set_exception(error)
    finally:
        _look_ups.release()
