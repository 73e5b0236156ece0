"""Bodies that are read as they come (`http_messages.py`): no more is waited for than the first byte."""

import socket

import pytest
from gunicorn.config import Config

from config.gunicorn_worker.client_connections import Unreader
from config.gunicorn_worker.http_messages import ComingRequest
from tests.fuzz.wire import request


@pytest.fixture
def line():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0.2)
        yield ours, theirs


def begun(line, *lines: str, body: bytes = b"", is_large: bool = True) -> ComingRequest:
    ours, theirs = line
    theirs.sendall(request("POST", "/", *lines) + body)
    unreader = Unreader(ours)
    unreader.is_large = True
    came = ComingRequest(Config(), unreader, ("127.0.0.1", 1))
    unreader.is_large = is_large
    return came


def test_a_body_of_known_length_is_read_as_it_comes(line):
    came = begun(line, "Content-Length: 9", body=b"abc")
    assert came.body.read1(100) == b"abc"
    line[1].sendall(b"defghi" + b"the next request")
    assert [came.body.read1(2), came.body.read1(100), came.body.read1(100)] == [b"de", b"fghi", b""]


def test_a_body_in_chunks_is_read_as_it_comes(line):
    came = begun(line, "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n")
    assert came.body.read1(100) == b"abc"
    line[1].sendall(b"9\r\ndefgh")
    assert [came.body.read1(2), came.body.read1(100)] == [b"de", b"fgh"]
    line[1].sendall(b"ijkl\r\n0\r\n\r\n")
    assert [came.body.read1(100), came.body.read1(100)] == [b"ijkl", b""]


def test_what_other_readers_have_taken_along_comes_first(line):
    came = begun(line, "Content-Length: 9", body=b"ab\ncdefgh")
    assert came.body.readline() == b"ab\n"
    assert came.body.read1(2) + came.body.read1(100) == b"cdefgh"


def test_a_connection_ends_with_the_answer_to_a_body_that_was_not_read(line):
    came = begun(line, "Content-Length: 9", body=b"abc")
    assert came.should_close()
    line[1].sendall(b"defghi")
    assert came.body.read(9) == b"abcdefghi"
    assert not came.should_close()


def test_a_connection_goes_on_when_what_was_not_read_has_come(line):
    assert not begun(line, "Content-Length: 3", body=b"abc", is_large=False).should_close()


@pytest.mark.parametrize(("is_large", "ends"), [(True, True), (False, False)])
def test_a_body_in_chunks_that_may_go_on_for_ever_ends_the_connection(line, is_large, ends):
    came = begun(line, "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n", is_large=is_large)
    assert came.should_close() is ends
    assert came.body.read(100) == b"abc"
    assert not came.should_close()


@pytest.mark.parametrize(
    "lines",
    [
        ("Connection: close",),
        ("Connection: TE, close",),
        ("Connection: keep-alive ,\tClose",),
        ("Connection: TE", "Connection: close"),
        ("Connection: keep-alive", "Connection: close"),
    ],
)
def test_a_connection_ends_wherever_close_stands_among_its_options(line, lines):
    assert begun(line, *lines, is_large=False).should_close()


@pytest.mark.parametrize("lines", [(), ("Connection: TE",), ("Connection: closed, x-close",), ("X-Connection: close",)])
def test_a_connection_goes_on_when_nobody_wants_it_closed(line, lines):
    assert not begun(line, *lines, is_large=False).should_close()
