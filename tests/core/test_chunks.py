"""What the worker takes for the end of a body in chunks, beside what gunicorn's parser does."""

import random
import socket
import time
from types import SimpleNamespace

import pytest
from gunicorn.http.body import ChunkedReader
from gunicorn.http.unreader import IterUnreader

from config.gunicorn_worker.client_connections import BodyTooLarge, Chunks, Unreader
from core.streamed_bodies import SMALL_BODY

PARTS = [
    b"0",
    b"1",
    b"2",
    b"5",
    b"-6",
    b"-9",
    b"+2",
    b"0" * 17 + b"3",
    b"\r\n",
    b"\n",
    b"\r",
    b"ab",
    b";a=b",
    b"X-A: b",
]


def is_whole_to_the_parser(body: bytes) -> bool:
    reader = ChunkedReader(SimpleNamespace(parse_headers=lambda *_, **__: []), IterUnreader([body]))
    try:
        reader.read(1 << 20)
    except Exception:  # noqa: BLE001 - refused or not all there
        return False
    return True


def random_body(dice: random.Random) -> bytes:
    if dice.random() < 0.5:
        return b"".join(dice.choices(PARTS, k=dice.randint(1, 12)))
    body = b"".join(b"%x\r\n%s\r\n" % (size, b"a" * size) for size in dice.choices(range(1, 20), k=3)) + b"0\r\n\r\n"
    at = dice.randrange(len(body))
    return body[:at] + dice.choice([*PARTS, b""]) + body[at + dice.randint(0, 2) :]


@pytest.mark.timeout(20)
def test_whatever_is_whole_to_the_parser_has_ended_however_it_came():
    dice = random.Random(9112)
    whole = 0
    for _ in range(4000):
        body = random_body(dice)
        cuts = sorted(dice.choices(range(len(body) + 1), k=2))
        chunks = Chunks()
        try:
            ended = [chunks.have_ended(body[a:b]) for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        except BodyTooLarge:
            ended = []
        if is_whole_to_the_parser(body):
            whole += 1
            assert any(ended), body
    assert whole > 200


def test_many_small_chunks_are_read_in_time_that_grows_with_them_alone():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        unreader = Unreader(ours)
        unreader.add(b"1f\r\n%s\r\n" % (b"a" * 31) * 32_000 + b"0\r\n\r\nnext")
        reader = ChunkedReader(SimpleNamespace(), unreader)
        began = time.process_time()
        assert reader.read(SMALL_BODY) == b"a" * 31 * 32_000
        # 0.1 s; copying the rest of the body for each chunk takes half a minute.
        assert time.process_time() - began < 0.7
        assert unreader.buf.getvalue() == b"next"


def test_a_body_in_too_many_chunks_is_too_large():
    chunks = Chunks()
    assert not chunks.have_ended(b"1\r\na\r\n" * 32_768)
    with pytest.raises(BodyTooLarge):
        chunks.have_ended(b"1\r\n")
