"""PORT alone listens on both families where the machine has them, and IPv4 stays IPv4; BIND is taken as said."""

import errno
import http.client
import runpy
import socket
from pathlib import Path

import pytest
from gunicorn.config import Config

from accounts.models import CLILogin
from config.gunicorn_worker import listen_addresses
from config.gunicorn_worker.client_connections import Connection, oldest_of_crowd
from config.gunicorn_worker.client_sockets import ClientSocket
from tests.gunicorn_process import GunicornProcess

CONFIGURATION = Path(__file__).resolve().parents[2] / "config" / "gunicorn.conf.py"
BOTH = socket.has_dualstack_ipv6()
FAMILY = socket.AF_INET6 if BOTH else socket.AF_INET
FAMILIES = ["127.0.0.1", "::1"] if BOTH else ["127.0.0.1"]


class Kernel(socket.socket):
    """A socket of a machine whose IPv6 is as `v6only` says."""

    v6only = 0
    refused_at = ""

    def __init__(self, family=socket.AF_INET, *args, **kwargs):
        if family == socket.AF_INET6 and self.refused_at == "socket":
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        super().__init__(family, *args, **kwargs)

    def bind(self, _address):
        if self.refused_at == "bind":
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        self.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, self.v6only)


@pytest.mark.parametrize(
    ("v6only", "refused_at", "bound"),
    [
        (0, "", ["[::]:4000"]),
        (1, "", ["0.0.0.0:4000", "[::]:4000"]),
        (0, "socket", ["0.0.0.0:4000"]),
        (0, "bind", ["0.0.0.0:4000"]),
    ],
)
def test_both_families_are_listened_on_where_the_machine_has_them(monkeypatch, v6only, refused_at, bound):
    here = type("Here", (Kernel,), {"v6only": v6only, "refused_at": refused_at})
    monkeypatch.setattr(listen_addresses.socket, "socket", here)
    assert listen_addresses.everywhere(4000) == bound


@pytest.mark.parametrize("said", ["127.0.0.1:4000", "0.0.0.0:4000", "[::1]:4000", "unix:/run/crayon.sock"])
def test_an_address_that_is_said_is_taken_as_said(monkeypatch, said):
    monkeypatch.setenv("BIND", said)
    assert runpy.run_path(str(CONFIGURATION))["bind"] == said


@pytest.mark.django_db(transaction=True)
def test_port_alone_answers_both_families_and_knows_who_comes_by_ipv4(sandbox):
    more = {"BIND": "", "ALLOWED_HOSTS": "*"}
    server = GunicornProcess(sandbox=sandbox, environment=more)
    more["PORT"] = str(server.port)
    with server:
        for address in FAMILIES:
            connection = http.client.HTTPConnection(address, server.port, timeout=10)
            connection.request("POST", "/api/auth/cli/session", b"{}", {"Content-Type": "application/json"})
            assert connection.getresponse().status == 200
            connection.close()
    assert list(CLILogin.objects.order_by("created_at").values_list("address", flat=True)) == FAMILIES


def configuration():
    cfg = Config()
    for name in ("forwarded_allow_ips", "forwarder_headers"):
        cfg.set(name, runpy.run_path(str(CONFIGURATION))[name])
    return cfg


@pytest.mark.parametrize("address", FAMILIES)
def test_a_proxy_on_this_machine_is_trusted_on_a_socket_for_both_families(address):
    with (
        socket.create_server(("", 0), family=FAMILY, dualstack_ipv6=BOTH) as listener,
        socket.create_connection((address, listener.getsockname()[1]), timeout=5),
    ):
        accepted, client = listener.accept()
        with ClientSocket(accepted) as sock:
            connection = Connection(sock, client=client, server=listener.getsockname())
            assert connection.collect(configuration(), b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\r\n")
            assert (connection.client[0], connection.request.scheme) == (address, "https")


def test_a_stranger_is_no_proxy():
    connection = connected("::ffff:192.0.2.1")
    assert connection.collect(configuration(), b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\r\n")
    assert (connection.client[0], connection.request.scheme) == ("192.0.2.1", "http")


def connected(address):
    """A connection from there; from a Unix socket where the address is empty."""
    ours, theirs = socket.socketpair()
    theirs.close()
    with ClientSocket(ours) as sock:
        client = (address, 40_000, 0, 0) if address else ""
        return Connection(sock, client=client, server=("::", 3000, 0, 0))


@pytest.mark.parametrize(
    ("addresses", "oldest"),
    [
        (["::ffff:192.0.2.1", "::ffff:192.0.2.2", "::ffff:192.0.2.2"], 1),
        (["2001:db8::1", "192.0.2.1", "192.0.2.1"], 1),
        # Nine /64s of one /48 are more than two of one host; eight of them would be even, and who came first goes.
        (["192.0.2.1", "192.0.2.1", *(f"2001:db8:0:{number:x}00::1" for number in range(9))], 2),
        (["192.0.2.1", "192.0.2.1", *(f"2001:db8:0:{number:x}00::1" for number in range(8))], 0),
        (["", ""], 0),
        ([], None),
    ],
)
def test_who_is_let_go_is_of_the_most_crowded_network(addresses, oldest):
    connections = [connected(address) for address in addresses]
    assert oldest_of_crowd(connections) is (None if oldest is None else connections[oldest])
