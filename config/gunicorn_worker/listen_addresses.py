"""Which addresses the server listens on where nobody says so: IPv4's and IPv6's, as far as the machine has them."""

import socket


def everywhere(port: int) -> list[str]:
    """What gunicorn binds to for all addresses.

    Its sockets for IPv6 are as the system makes them (`net.ipv6.bindv6only`): for both families, or for IPv6 alone.
    """
    ipv4, ipv6 = f"0.0.0.0:{port}", f"[::]:{port}"
    takes_ipv4 = _ipv6_takes_ipv4()
    if takes_ipv4 is None:
        return [ipv4]
    # Where it takes IPv4, too, another socket for IPv4 would find its port taken.
    return [ipv6] if takes_ipv4 else [ipv4, ipv6]


def _ipv6_takes_ipv4() -> bool | None:
    """Whether a new socket for IPv6 takes IPv4, too; None on a machine without IPv6."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            # A kernel may know IPv6 and have it turned off, which shows at binding only.
            probe.bind(("::", 0))
            return not probe.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    except OSError:
        return None
