"""Opening connections within a time limit that looking the name up is part of.

The system's resolver knows no limit of ours, and waits for half a minute for a name server that is away; urllib3 gives
each of a name's addresses the whole limit. Here a look-up has a thread of its own, which may be left alone with it, and
the addresses share what is left.
"""

import ipaddress
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

# Look-ups at once, those that nobody waits for any more among them.
_MOST_LOOK_UPS = 16
_look_ups = threading.BoundedSemaphore(_MOST_LOOK_UPS)

# What getaddrinfo tells of one address: family, type, protocol, canonical name and the address itself.
Address = tuple[Any, Any, int, str, Any]


def connect(host: str, port: int, *, seconds: float, options: Sequence[tuple[int, int, int | bytes]]) -> socket.socket:
    """A TCP connection to the first address of `host` that takes one; `options` are for setsockopt.

    Each address has its even share of the time that the ones before it left. The socket's own timeout is what is left
    over. Raises socket.gaierror for a name that can't be found, TimeoutError, or another OSError.
    """
    deadline = time.monotonic() + seconds
    addresses = _addresses(host.strip("[]"), port, deadline=deadline)
    for untried in range(len(addresses), 0, -1):
        try:
            sock = _connect(addresses[-untried], seconds=_left(deadline) / untried, options=options)
        except OSError:
            if untried == 1:
                raise
        else:
            sock.settimeout(_left(deadline))
            return sock
    raise socket.gaierror(socket.EAI_NONAME, "the name has no address")


def _left(deadline: float) -> float:
    """Seconds; never 0, which would mean not to wait at all."""
    return max(deadline - time.monotonic(), 0.001)


def _connect(address: Address, *, seconds: float, options: Sequence[tuple[int, int, int | bytes]]) -> socket.socket:
    family, kind, protocol, _, place = address
    sock = socket.socket(family, kind, protocol)
    try:
        for option in options:
            sock.setsockopt(*option)
        sock.settimeout(seconds)
        sock.connect(place)
    except BaseException:
        sock.close()
        raise
    return sock


def _addresses(host: str, port: int, *, deadline: float) -> list[Address]:
    if _is_address(host):
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    if not _look_ups.acquire(timeout=_left(deadline)):
        raise TimeoutError("too many look-ups of names are under way")
    found: Future[list[Address]] = Future()
    # A daemon: one that hangs must not keep the process from ending.
    look_up = threading.Thread(target=_look_up, args=[host, port, found], daemon=True, name="name look-up")
    try:
        look_up.start()
    except RuntimeError as error:
        _look_ups.release()
        raise OSError("there are no more threads") from error
    return found.result(timeout=_left(deadline))


def _look_up(host: str, port: int, found: "Future[list[Address]]") -> None:
    try:
        found.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except Exception as error:  # noqa: BLE001 - raised where the result is asked for
        found.set_exception(error)
    finally:
        _look_ups.release()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
