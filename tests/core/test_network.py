"""No test reaches anything beyond this machine."""

import socket
import warnings

import pytest
import urllib3
from pytest_socket import SocketConnectBlockedError

# 192.0.2.0/24 and 2001:db8::/32 are for documentation (RFC 5737, RFC 3849): nobody answers there.
BEYOND = [
    (socket.AF_INET, ("192.0.2.1", 80)),
    (socket.AF_INET, ("10.0.0.1", 80)),
    (socket.AF_INET6, ("2001:db8::1", 80)),
]


@pytest.fixture(autouse=True)
def _the_refusal_itself():
    """The refusal comes with a warning, which would be the error otherwise."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize(("family", "address"), BEYOND)
def test_a_connection_beyond_loopback_is_refused(family, address):
    with socket.socket(family) as connection, pytest.raises(SocketConnectBlockedError):
        connection.connect(address)


def test_a_library_is_refused_too():
    with pytest.raises(SocketConnectBlockedError):
        urllib3.PoolManager(retries=False).request("GET", "http://192.0.2.1/")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"])
def test_loopback_is_open(host):
    with socket.create_server((host, 0)) as listener, socket.create_connection(listener.getsockname(), timeout=5):
        pass


def test_pairs_within_a_process_are_open():
    one, other = socket.socketpair()
    with one, other:
        one.sendall(b"x")
        assert other.recv(1) == b"x"
