"""The time that calling out may take: one budget, however slowly the other side connects or answers."""

import socket
import threading
import time

import pytest
from django.test import RequestFactory

from core.http_client import Service, ServiceTimeout
from core.request_context import begin_request, end_request
from tests.core.answering import OK, answering
from tests.stopwatch import Stopwatch


def test_a_slow_service_is_a_timeout_within_the_budget(sandbox):
    hasty = Service(name="Nango", base_url=sandbox.nango_url, headers={}, budget=0.3)
    sandbox.faults(target="nango", match="GET /providers/github", delay=2)
    with Stopwatch() as watch, pytest.raises(ServiceTimeout) as caught:
        hasty.call("GET", "/providers/github")
    assert watch.at_ease < 1.5
    assert (caught.value.status, caught.value.sentence) == (
        504,
        "Nango did not answer in time. Please try again in a moment.",
    )


def test_a_slow_connection_is_part_of_the_budget():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        # Who comes second has to knock again after a second, when there is room.
        first = socket.create_connection(listener.getsockname())
        makes_room = threading.Timer(0.5, lambda: listener.accept()[0].close())  # noqa: PLW0108 - it accepts then
        makes_room.start()
        service = Service(name="Slow", base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", headers={}, budget=1.6)
        with Stopwatch() as watch, pytest.raises(ServiceTimeout):
            service.call("GET", "/")
        makes_room.join()
        first.close()
    assert watch.seconds > 1.5
    assert watch.at_ease < 2.4


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\nConnection: close\r\n\r\n"


def dripping(at_once, slowly):
    def drip(connection):
        connection.sendall(at_once)
        for number in range(len(slowly)):
            connection.sendall(slowly[number : number + 1])
            time.sleep(0.1)

    return drip


@pytest.mark.parametrize(
    ("at_once", "slowly"),
    [
        (b"", HEAD),
        (b"HTTP/1.1 200 OK\r\n", b"X-Slow: 1\r\n" * 4),
        (b"HTTP/1.1 200 OK\r\n", b"A:\n" * 12),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2),
        (HEAD, b"x" * 40),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 6),
    ],
)
@pytest.mark.parametrize("kind", ["http", "https"])
def test_a_service_that_drips_is_a_timeout_within_the_budget(request, kind, at_once, slowly):
    wrap = request.getfixturevalue("own_certificate").wrap if kind == "https" else None
    with answering(dripping(at_once, slowly), wrap=wrap) as (url, _):
        with Stopwatch() as watch, pytest.raises(ServiceTimeout):
            Service(name="X", base_url=url, headers={}, budget=0.4).call("GET", "/")
        assert watch.seconds > 0.35
        assert watch.at_ease < 2


def test_a_handshake_that_drips_is_a_timeout_within_the_budget(own_certificate):
    # The head of a record of 255 bytes, which come one by one.
    with answering(dripping(b"\x16\x03\x03\x00\xff", b"\x02" * 30)) as (url, _):
        with Stopwatch() as watch, pytest.raises(ServiceTimeout):
            Service(name="X", base_url=url.replace("http:", "https:"), headers={}, budget=0.4).call("GET", "/")
        assert watch.at_ease < 2


@pytest.mark.parametrize("kind", ["http", "https"])
def test_a_kept_connection_begins_each_call_with_the_whole_budget(request, kind):
    wrap = request.getfixturevalue("own_certificate").wrap if kind == "https" else None

    def twice(connection):
        for _ in range(2):
            time.sleep(0.6)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            if not connection.recv(65_536):
                return

    with answering(twice, wrap=wrap) as (url, met):
        service = Service(name="X", base_url=url, headers={}, budget=1)
        assert [service.call("GET", "/").body for _ in range(2)] == [b"ok"] * 2
        service._pool.close()
    assert len(met) == 1


@pytest.fixture
def in_a_request():
    begin_request(RequestFactory().get("/"))
    yield
    end_request()


def after(seconds):
    def behave(connection):
        time.sleep(seconds)
        OK(connection)

    return behave


def test_the_calls_of_one_request_share_a_budget(in_a_request):
    with answering(after(0.6), after(0.6), OK) as (url, met):
        service, again = (Service(name="X", base_url=url, headers={}, budget=1, shares_budget=True) for _ in "12")
        with Stopwatch() as watch:
            assert service.call("GET", "/").ok
            for caller in (again, service):
                with pytest.raises(ServiceTimeout):
                    caller.call("GET", "/")
        assert watch.at_ease < 1.5
        assert len(met) == 2, "what has no time left is not sent"
        begin_request(RequestFactory().get("/"))
        assert service.call("GET", "/").ok


def test_a_call_outside_of_a_request_has_the_budget_for_itself(in_a_request):
    with answering(*[after(0.6)] * 4) as (url, _):
        alone = Service(name="X", base_url=url, headers={}, budget=1)
        assert [alone.call("GET", "/").status for _ in range(2)] == [200] * 2
        end_request()
        service = Service(name="X", base_url=url, headers={}, budget=1, shares_budget=True)
        assert [service.call("GET", "/").status for _ in range(2)] == [200] * 2


def test_a_connection_for_which_too_little_is_left_is_a_timeout():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        first = socket.create_connection(listener.getsockname())
        service = Service(name="X", base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", headers={}, budget=0.3)
        with pytest.raises(ServiceTimeout):
            service.call("GET", "/")
        first.close()
