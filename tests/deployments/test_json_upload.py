"""Reading the JSON form of a push: what it means is not a matter of how it arrives."""

import binascii
import io
import random

import orjson
import pytest

from core.errors import ApplicationError, Malformed
from deployments.archives import TooLarge
from deployments.archives.json_upload import Given, read_posted

NAMES = ['"appName"', r'"app\u004eame"', '"archive"', r'"arch\u0069ve"', '"x"', r'"\"appName"', '""']
TEXTS = ['"shop"', r'"sh\u006fp"', '""', r'"a\\"', r'"\""', '"QUJD"', r'"QU\u004aD\/\/\/\/"', '"QQ=="', '"}"', '"]{"']
ODD = ["1", "null", "nul", "01"]
# How many of the values at each depth hold others.
NESTED = (0.3, 0.3, 0.3)
WRITTEN = '"\\{}[]:, aA=/u0'
MOST = 1 << 10


def read(pieces: list[bytes]) -> tuple[object, ...]:
    """All that a body comes to: the object, the archive, the names that were told, and what came before the archive."""
    file, names, before = io.BytesIO(), list[str](), list[Given]()
    try:
        given = read_posted(
            pieces, file, most=MOST, too_large=TooLarge(), on_app_name=names.append, on_archive=before.append
        )
    except ApplicationError as error:
        return (type(error),)
    return given, file.getvalue(), names, before


def cut(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


@pytest.mark.parametrize(
    "archive",
    [r"QUJD\\/\/\/\/", r"\\\\", r"QUJ\\", r"QUJD\\u0041QUJ", r"QUJ\u005cD", r"QUJD\/\\/\/", r"QUJ\\\u0041", r"Q\n=="],
)
def test_an_escaped_backslash_is_no_base64_however_it_is_cut(archive):
    body = f'{{"archive": "{archive}"}}'.encode()
    assert [read(cut(body, size)) for size in range(1, len(body))] == [(Malformed,)] * (len(body) - 1)


def test_escapes_of_what_base64_has_are_read_however_they_are_cut():
    body = rb'{"archive": "QU\u004aD\/\u002f\/\u002B"}'
    data = binascii.a2b_base64("QUJD///+")
    assert {read(cut(body, size))[1] for size in range(1, len(body))} == {data}


@pytest.mark.parametrize("seed", range(4))
def test_a_body_means_what_a_parser_of_json_says_however_it_is_cut(seed):
    chance = random.Random(seed)
    for _ in range(500):
        body = _body(chance)
        whole = read([body])
        assert [read(cut(body, size)) for size in (1, chance.randrange(2, 9))] == [whole] * 2, body
        if len(whole) > 1:
            assert whole[:3] == _meant(body), body


def _meant(body: bytes) -> tuple[object, ...]:
    given = orjson.loads(body or b"{}")
    name, archive = given.get("appName"), given.get("archive")
    data = binascii.a2b_base64(archive, strict_mode=True) if isinstance(archive, str) else b""
    shown = given | {"archive": ""} if isinstance(archive, str) else given
    return shown, data, [name] if isinstance(name, str) else []


def _body(chance: random.Random) -> bytes:
    """An object such as a push has, with some letters changed now and then."""
    letters = list(_object(chance))
    for _ in range(chance.choice([0, 0, 0, 1, 2])):
        letters[chance.randrange(len(letters))] = chance.choice(["", *WRITTEN])
    return "".join(letters).encode()


def _object(chance: random.Random, depth: int = 0) -> str:
    members = (f"{chance.choice(NAMES)}: {_value(chance, depth)}" for _ in range(chance.randrange(5)))
    return "{" + ", ".join(members) + "}"


def _value(chance: random.Random, depth: int) -> str:
    if depth < len(NESTED) and chance.random() < NESTED[depth]:
        return chance.choice([_object(chance, depth + 1), f"[{_value(chance, depth + 1)}]"])
    return chance.choice(TEXTS + ODD)
