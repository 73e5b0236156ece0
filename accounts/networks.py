"""Networks that a key may be used from (CIDR, RFC 4632 and RFC 4291)."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_MAPPED_BITS = 96


def canonical(text: str) -> str:
    """The one spelling of a network or a single address. Raises ValueError for what is neither."""
    return str(_parsed(text.strip()))


def allows(networks: Iterable[str], address: str) -> bool:
    """Whether the address, as `core.request_context` spells it, lies in one of them; an unknown one lies in none."""
    try:
        where = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(where in _parsed(network) for network in networks)


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Network:
    if "%" in text:
        raise ValueError("A zone means something to its own host only.")
    network = ipaddress.ip_network(text, strict=False)
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    # Callers' addresses are IPv4 wherever they are that in truth, so networks are as well.
    if mapped is not None and network.prefixlen >= _MAPPED_BITS:
        return ipaddress.ip_network((mapped, network.prefixlen - _MAPPED_BITS))
    return network
