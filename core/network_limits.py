"""Limits by where callers are: their address, or for IPv6 the networks that one customer may have.

A provider gives a customer a /64, a /56 or a /48 (RFC 6177), so each of the three is counted, and whoever has the
larger one has not 256 or 65,536 times as much. Nobody but a network's own customers is kept waiting by it.
"""

from dataclasses import dataclass

from core.errors import TooManyRequests
from core.rate_limits import RateLimit
from core.request_context import NETWORK_SHARES, networks_of

_SHARE = 5


@dataclass(frozen=True, slots=True)
class NetworkLimit:
    """So many times per period for an address, such as NetworkLimit("cli-login", 10, "minute")."""

    name: str
    number: int
    period: str

    def spend(self, address: str) -> None:
        """Count one use. Raises TooManyRequests when one of the address's networks has none left."""
        for limit, network in self._limits(address):
            limit.spend(network)

    def require_left(self, address: str) -> None:
        """Raise TooManyRequests when one of the address's networks has none left; counts nothing."""
        for limit, network in self._limits(address):
            limit.require_left(network)

    def is_fresh(self, address: str) -> bool:
        """Whether none of the address's widest network has had any in this period."""
        limit, network = self._limits(address)[-1]
        return limit.used(network) == 0

    def _limits(self, address: str) -> list[tuple[RateLimit, str]]:
        return [
            (RateLimit(f"{self.name}-{times}", f"{self.number * times}/{self.period}"), network)
            for times, network in zip(NETWORK_SHARES, networks_of(address), strict=False)
        ]


@dataclass(frozen=True, slots=True)
class SharedLimit:
    """What each network may have, within what all together may.

    When that is used up there is a fifth more, for networks that have had none: so few can't shut everybody else out.
    """

    each: NetworkLimit
    all: RateLimit

    def spend(self, address: str) -> None:
        """Count one use. Raises TooManyRequests."""
        is_fresh = self.each.is_fresh(address)
        self.each.spend(address)
        try:
            self.all.spend()
        except TooManyRequests:
            if not is_fresh:
                raise
            self._for_fresh.spend()

    def require_left(self, address: str) -> None:
        """Raise TooManyRequests when the address may have none; counts nothing."""
        self.each.require_left(address)
        try:
            self.all.require_left()
        except TooManyRequests:
            if not self.each.is_fresh(address):
                raise
            self._for_fresh.require_left()

    @property
    def _for_fresh(self) -> RateLimit:
        return RateLimit(f"{self.all.name}-fresh", f"{max(1, self.all.number // _SHARE)}/{self.each.period}")
