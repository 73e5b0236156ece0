"""Loopback: which addresses there are, whether a port is free, and which one is."""

import socket

LOOPBACK = "127.0.0.1"


def loopback() -> list[str]:
    """Return the machine's own addresses: `localhost` may be either, and which one is up to the client."""
    return [LOOPBACK, *(address for address in ["::1"] if _can_listen(address, 0))]


def is_free(port: int) -> bool:
    """Say whether a server could listen on `port` of the loopback addresses now."""
    return all(_can_listen(address, port) for address in loopback())


def free_port() -> int:
    """Return a port that was free a moment ago; whoever uses it must be ready to lose the race."""
    with socket.create_server((LOOPBACK, 0)) as probe:
        return int(probe.getsockname()[1])


def _can_listen(address: str, port: int) -> bool:
    try:
        # As servers do, it takes a port whose last connections are still closing for free.
        socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET).close()
    except OSError:
        return False
    return True
