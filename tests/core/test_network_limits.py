"""Limits by network: a customer's many IPv6 networks count together, and few can't use up what all may have."""

import pytest

from core.errors import TooManyRequests
from core.network_limits import NetworkLimit, SharedLimit
from core.rate_limits import RateLimit
from core.request_context import networks_of

EACH = NetworkLimit("trying", 5, "minute")


def tries(limit: NetworkLimit | SharedLimit, addresses: list[str]) -> int:
    """How many of these may."""
    passed = 0
    for address in addresses:
        try:
            limit.spend(address)
        except TooManyRequests:
            continue
        passed += 1
    return passed


@pytest.mark.parametrize(
    ("address", "networks"),
    [
        ("192.0.2.1", ("192.0.2.1",)),
        ("::ffff:192.0.2.1", ("192.0.2.1",)),
        ("2001:db8:1:2ff::1", ("2001:db8:1:2ff::/64", "2001:db8:1:200::/56", "2001:db8:1::/48")),
        ("", ("",)),
    ],
)
def test_an_address_counts_for_all_networks_that_a_customer_may_have(address: str, networks: tuple[str, ...]) -> None:
    assert networks_of(address) == networks


@pytest.mark.parametrize(
    ("addresses", "passed"),
    [
        ([f"2001:db8::{number:x}" for number in range(40)], 5),
        ([f"2001:db8:0:{number:x}::1" for number in range(256)], 10),
        ([f"2001:db8:0:{number:x}00::1" for number in range(256)], 20),
        ([f"192.0.2.{number}" for number in range(40)], 40),
    ],
    ids=["a /64", "a /56", "a /48", "IPv4"],
)
def test_a_network_has_a_few_times_what_an_address_has(addresses: list[str], passed: int) -> None:
    assert tries(EACH, addresses) == passed


def test_when_all_is_used_up_there_is_some_for_networks_that_had_none() -> None:
    limit = SharedLimit(EACH, RateLimit("trying-of-all", "50/minute"))
    greedy = [f"2001:db8:{number:x}::1" for number in range(10)]
    assert tries(limit, greedy * 6) == 50
    assert tries(limit, greedy) == 0
    fresh = [f"192.0.2.{number}" for number in range(12)]
    with pytest.raises(TooManyRequests):
        limit.require_left(greedy[0])
    limit.require_left(fresh[0])
    assert tries(limit, fresh) == 10
    assert tries(limit, fresh) == 0


@pytest.mark.parametrize(
    "again",
    [[f"2001:db8:{number:x}::1" for number in range(20)], [f"2001:db8:{number:x}:ff::1" for number in range(20)]],
    ids=["the same addresses", "others of their customers"],
)
def test_what_is_kept_for_networks_that_had_none_is_not_for_those_that_had_little(again: list[str]) -> None:
    limit = SharedLimit(EACH, RateLimit("trying-of-all", "20/minute"))
    assert tries(limit, [f"2001:db8:{number:x}::1" for number in range(20)]) == 20
    assert tries(limit, again) == 0
    with pytest.raises(TooManyRequests):
        limit.require_left(again[0])
    assert tries(limit, [f"192.0.2.{number}" for number in range(20)]) == 4
