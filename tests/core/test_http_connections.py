"""Opening connections: a name's look-up and all its addresses share one time limit."""

import socket
import threading
from contextlib import contextmanager

import pytest

from core import http_connections
from core.http_client import Service, ServiceFailed, ServiceTimeout
from core.http_connections import connect
from tests.stopwatch import Stopwatch

NO_DELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
really = socket.getaddrinfo


@pytest.fixture
def names(monkeypatch):
    """A table of names, each with its addresses or a function that gives them; all others the system looks up."""
    table = {}

    def getaddrinfo(host, port, *args, **kwargs):
        if host not in table:
            return really(host, port, *args, **kwargs)
        found = table[host]
        places = found() if callable(found) else found
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", place) for place in places]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return table


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@contextmanager
def silent():
    """The address of a server that takes no connection and refuses none."""
    # It has room for one that it has not accepted; who comes second hears nothing.
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as listener,
        socket.create_connection(listener.getsockname()),
    ):
        yield listener.getsockname()


def refusing():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()


@contextmanager
def hanging():
    """A look-up that takes until the test is over; gives it, and a list that grows with each that began."""
    over, begun = threading.Event(), []

    def look_up():
        begun.append(True)
        assert over.wait(timeout=20)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    try:
        yield look_up, begun
    finally:
        over.set()
        # All that began have ended when as many can be begun as ever.
        for _ in range(http_connections._MOST_LOOK_UPS):
            assert http_connections._look_ups.acquire(timeout=10)
        for _ in range(http_connections._MOST_LOOK_UPS):
            http_connections._look_ups.release()


def test_a_name_is_looked_up_and_the_options_are_set(names, listener):
    names["app.test"] = [listener.getsockname()]
    with connect("app.test", 80, seconds=2, options=[NO_DELAY]) as sock:
        assert sock.getpeername() == listener.getsockname()
        assert sock.getsockopt(*NO_DELAY[:2])
        assert 1.5 < sock.gettimeout() <= 2


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "[::1]"])
def test_an_address_needs_no_look_up(monkeypatch, host):
    monkeypatch.setattr(http_connections, "_look_ups", threading.BoundedSemaphore(1))
    assert http_connections._look_ups.acquire()
    # Nobody listens there, if the machine has such an address at all.
    with pytest.raises(OSError) as caught:
        connect(host, refusing()[1], seconds=1, options=[])
    assert not isinstance(caught.value, TimeoutError | socket.gaierror)


def test_an_address_that_refuses_is_passed_over(names, listener):
    names["app.test"] = [refusing(), listener.getsockname()]
    with connect("app.test", 80, seconds=2, options=[]) as sock:
        assert sock.getpeername() == listener.getsockname()


def test_an_address_that_is_silent_leaves_the_others_their_share(names, listener):
    with silent() as place:
        names["app.test"] = [place, listener.getsockname()]
        with Stopwatch() as watch, connect("app.test", 80, seconds=2, options=[]) as sock:
            assert sock.getpeername() == listener.getsockname()
        assert watch.seconds > 0.9
        assert watch.at_ease < 1.9


def test_all_addresses_of_a_name_share_one_limit(names):
    with silent() as place:
        names["app.test"] = [place] * 4
        with Stopwatch() as watch, pytest.raises(TimeoutError):
            connect("app.test", 80, seconds=0.8, options=[])
        assert watch.seconds > 0.7
        assert watch.at_ease < 2


def test_the_last_addresss_failure_is_told(names):
    names["app.test"] = [refusing(), refusing()]
    with pytest.raises(ConnectionRefusedError):
        connect("app.test", 80, seconds=1, options=[])


def test_a_name_without_addresses_is_not_found(names):
    names["app.test"] = []
    with pytest.raises(socket.gaierror):
        connect("app.test", 80, seconds=1, options=[])


def test_a_look_up_that_hangs_is_not_waited_for(names):
    with hanging() as (look_up, _):
        names["app.test"] = look_up
        with Stopwatch() as watch, pytest.raises(TimeoutError):
            connect("app.test", 80, seconds=0.3, options=[])
        assert watch.seconds > 0.25
        assert watch.at_ease < 2


def test_look_ups_that_hang_are_bounded_in_number(names, listener):
    with hanging() as (look_up, begun):
        names["app.test"] = look_up
        for _ in range(http_connections._MOST_LOOK_UPS + 4):
            with pytest.raises(TimeoutError):
                connect("app.test", 80, seconds=0.02, options=[])
        assert len(begun) == http_connections._MOST_LOOK_UPS
    names["app.test"] = [listener.getsockname()]
    connect("app.test", 80, seconds=2, options=[]).close()


def test_a_thread_that_can_not_be_started_takes_no_ones_place(names, listener, monkeypatch):
    names["app.test"] = [listener.getsockname()]

    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        for _ in range(http_connections._MOST_LOOK_UPS + 1):
            with pytest.raises(OSError, match="no more threads"):
                connect("app.test", 80, seconds=0.5, options=[])
    connect("app.test", 80, seconds=2, options=[]).close()


def test_a_service_whose_name_is_not_found_in_time_is_a_timeout(names):
    with hanging() as (look_up, _):
        names["api.test"] = look_up
        with Stopwatch() as watch, pytest.raises(ServiceTimeout):
            Service(name="X", base_url="http://api.test", headers={}, budget=0.4).call("GET", "/")
        assert watch.at_ease < 2


def test_a_service_whose_name_is_unknown_was_not_sent_anything(names):
    def unknown():
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    names["api.test"] = unknown
    with pytest.raises(ServiceFailed) as caught:
        Service(name="X", base_url="https://api.test", headers={}).call("POST", "/")
    assert caught.value.sent is False
