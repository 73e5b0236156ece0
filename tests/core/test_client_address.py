"""Whose address a request counts for: never one that the client could have written itself."""

import pytest
from django.test import RequestFactory

from core.request_context import client_address, networks_of


def address(peer="10.0.0.1", **headers):
    return client_address(RequestFactory().get("/", headers=headers, REMOTE_ADDR=peer))


def forwarded(value):
    return {"X-Forwarded-For": value}


def test_without_a_proxy_headers_count_for_nothing():
    assert address("192.0.2.1", **forwarded("203.0.113.9"), **{"Fly-Client-IP": "203.0.113.9"}) == "192.0.2.1"


@pytest.mark.parametrize(
    ("count", "value", "expected"),
    [
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        (2, "6.6.6.6, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        (2, "203.0.113.9", "10.0.0.1"),
        (1, "", "10.0.0.1"),
        (1, "6.6.6.6,", "10.0.0.1"),
        (1, "nonsense", "10.0.0.1"),
        (1, "203.0.113.9:443", "10.0.0.1"),
        (1, "<script>", "10.0.0.1"),
    ],
)
def test_behind_proxies_the_entry_of_the_outermost_counts(settings, count, value, expected):
    settings.TRUSTED_PROXY_COUNT = count
    assert address(**forwarded(value)) == expected


def test_a_named_header_counts_alone(settings):
    settings.CLIENT_ADDRESS_HEADER = "Fly-Client-IP"
    assert address(**{"Fly-Client-IP": "203.0.113.9"}, **forwarded("6.6.6.6")) == "203.0.113.9"
    assert address(**{"Fly-Client-IP": "nonsense"}) == "10.0.0.1"
    assert address(**forwarded("6.6.6.6")) == "10.0.0.1"


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("", "0.0.0.0"),
        ("unix:", "0.0.0.0"),
    ],
)
def test_one_address_has_one_spelling(peer, expected):
    assert address(peer) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("nonsense", "nonsense"),
    ],
)
def test_limits_count_the_network_that_one_host_may_use(given, expected):
    assert networks_of(given)[0] == expected
