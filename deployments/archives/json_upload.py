"""Reading the JSON form of a push as it arrives: its archive goes to a file, only the rest is kept.

The rest of the text, with an empty string in the archive's place, must be a JSON object by itself. So what is
JSON is decided by a parser, and all that is done here is to find where that one string begins and ends.
"""

import binascii
import json
import re
from collections.abc import Callable, Iterable
from typing import IO

import orjson

from core.errors import Malformed
from deployments.archives.errors import TooLarge

MEMBER, APP_NAME = "archive", "appName"
# More than the largest environment, with most of its characters escaped.
MOST_BESIDE = 2 << 20
# No push has a reason to be nested deeper, or to hold more commas, brackets and strings: each costs a step here, many
# times what the parser needs for it. The largest environment has some 1,200.
_DEEPEST, _MOST_STEPS = 100, 50_000
_NOT_JSON = "The body is not valid JSON."
_TOO_MUCH = f"The body holds more than {_MOST_STEPS:,} brackets, commas and strings beside the archive."
_NOT_BASE64 = "archive: This is not valid base64."
_STRUCTURE = re.compile(rb'["{}\[\]:,]')
# As far as a string goes in a piece, over its escapes, but not over a backslash that is the piece's last byte.
_IN_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
# A backslash and what it needs to be whole, at the end of a piece.
_CUT_ESCAPE = re.compile(rb"\\(?:u[0-9A-Fa-f]{0,3})?\Z")
_ESCAPE = re.compile(rb"\\(?:(/)|u00([2-7][0-9A-Fa-f]))")


class TooLargeBeside(TooLarge):
    """413: there is too much in the body beside the archive."""

    default = f"The body holds more than {MOST_BESIDE >> 20} MB beside the archive."


class Given(dict[str, object]):
    """The members of the object; `archive` is "" here when it was a string. Values never show in a repr."""

    def __repr__(self) -> str:
        return f"<Given {sorted(self)}>"


def _nothing(_found: object) -> None:
    """Look at nothing."""


def read_posted(  # noqa: PLR0913 - the last two are what may end the reading
    pieces: Iterable[bytes],
    archive: IO[bytes],
    *,
    most: int,
    too_large: TooLarge,
    on_app_name: Callable[[str], None] = _nothing,
    on_archive: Callable[[Given], None] = _nothing,
) -> Given:
    """Read the whole body; the archive's bytes are written to the file `archive`.

    `on_app_name` is told the text of the top's `appName` as soon as that has come, `on_archive` all that came before
    the archive, before anything of that is read; what they raise ends the reading.

    Raises Malformed for what is not JSON, no object, has a name twice, or holds an archive that is not strict
    base64 (RFC 4648, section 4); `too_large` for an archive of more than `most` bytes; TooLargeBeside.
    """
    base64 = _Base64(archive, most=most, too_large=too_large)
    reader = _Reader(base64, on_app_name=on_app_name, on_archive=on_archive)
    for piece in pieces:
        reader.feed(piece)
    return reader.finish()


class _Reader:
    """Follows the text's structure, which it need not understand where it is wrong: the parser comes later."""

    def __init__(
        self, base64: "_Base64", *, on_app_name: Callable[[str], None], on_archive: Callable[[Given], None]
    ) -> None:
        self._base64 = base64
        self._on_app_name = on_app_name
        self._on_archive = on_archive
        self._rest = bytearray()
        self._steps = 0
        self._depth = 0
        self._is_object = False
        self._in_string = False
        self._in_archive = False
        self._awaits_escaped = False
        self._string_began = 0
        self._awaits_value = False
        self._name = ""
        self._names: set[str] = set()

    def feed(self, piece: bytes) -> None:
        position = 0
        while position < len(piece):
            if self._in_archive:
                position = self._read_archive(piece, position)
            elif self._in_string:
                position = self._read_string(piece, position)
            else:
                position = self._read_structure(piece, position)
            if len(self._rest) > MOST_BESIDE:
                raise TooLargeBeside

    def finish(self) -> Given:
        if self._in_archive:
            raise Malformed(_NOT_JSON)
        return _parsed(bytes(self._rest) or b"{}")

    def _keep(self, piece: bytes, begin: int, end: int) -> int:
        self._rest += memoryview(piece)[begin:end]
        return end

    def _read_structure(self, piece: bytes, position: int) -> int:
        found = _STRUCTURE.search(piece, position)
        if found is None:
            return self._keep(piece, position, len(piece))
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise TooLargeBeside(_TOO_MUCH)
        end = self._keep(piece, position, found.end())
        match found[0]:
            case b'"':
                self._begin_string()
            case b"{" | b"[":
                self._is_object = self._is_object or (self._depth == 0 and found[0] == b"{")
                self._depth += 1
                if self._depth > _DEEPEST:
                    raise Malformed(_NOT_JSON)
                self._awaits_value = False
            case b"}" | b"]":
                self._depth -= 1
            case b":":
                self._awaits_value = True
            case _:
                self._awaits_value = False
        return end

    def _begin_string(self) -> None:
        if self._depth == 1 and self._awaits_value and self._name == MEMBER:
            self._in_archive = True
            self._base64.begin()
            # What came before, with an empty archive and nothing behind it, is the beginning of the same object.
            self._on_archive(_parsed(bytes(self._rest) + b'"}'))
        else:
            self._in_string = True
            self._string_began = len(self._rest) - 1

    def _read_string(self, piece: bytes, position: int) -> int:
        if self._awaits_escaped:
            self._awaits_escaped = False
            return self._keep(piece, position, position + 1)
        found = _IN_STRING.match(piece, position)
        end = found.end() if found else position
        if end == len(piece):
            return self._keep(piece, position, end)
        # What stopped it: the quote that ends the string, or the first half of an escape.
        self._in_string = self._awaits_escaped = piece[end : end + 1] == b"\\"
        end = self._keep(piece, position, end + 1)
        if not self._in_string and self._depth == 1 and self._is_object:
            self._end_string()
        return end

    def _end_string(self) -> None:
        """Remember the name of the member whose value comes next, or tell the app's, if that is what the string was."""
        if self._awaits_value and self._name != APP_NAME:
            return
        try:
            text = str(orjson.loads(self._rest[self._string_began :]))
        except orjson.JSONDecodeError as error:
            raise Malformed(_NOT_JSON) from error
        if self._awaits_value:
            self._name = ""
            self._on_app_name(text)
            return
        if text in self._names:
            raise Malformed(f"{_shown(text)}: This field is given more than once.")
        self._name = text
        self._names.add(text)

    def _read_archive(self, piece: bytes, position: int) -> int:
        # No escape that base64 could need holds a quote, so the next one ends it.
        end = piece.find(b'"', position)
        self._base64.feed(piece[position : len(piece) if end < 0 else end])
        if end < 0:
            return len(piece)
        self._base64.finish()
        self._in_archive = self._awaits_value = False
        return self._keep(piece, end, end + 1)


class _Base64:
    """Decodes a JSON string's base64 into a file, four characters by four."""

    def __init__(self, file: IO[bytes], *, most: int, too_large: TooLarge) -> None:
        self._file = file
        self._most = most
        self._too_large = too_large
        self._begun = False
        # Fewer than four characters, and the beginning of an escape behind them.
        self._held, self._cut = b"", b""
        self._ended = False

    def begin(self) -> None:
        if self._begun:
            raise Malformed(f"{MEMBER}: This field is given more than once.")
        self._begun = True

    def feed(self, text: bytes) -> None:
        text = self._cut + text
        whole = len(text)
        if b"\\" in text[-6:] and (cut := _CUT_ESCAPE.search(text)):
            whole = cut.start()
        self._cut, plain = text[whole:], text[:whole]
        if b"\\" in plain:
            plain = _ESCAPE.sub(_unescaped, plain)
        # Not to be unescaped once more: half of an escaped backslash would become a part of another escape.
        plain = self._held + plain
        fours = len(plain) - len(plain) % 4
        self._held = plain[fours:]
        if fours:
            self._write(plain[:fours])

    def finish(self) -> None:
        if self._held or self._cut:
            raise Malformed(_NOT_BASE64)

    def _write(self, text: bytes) -> None:
        if self._ended:
            raise Malformed(_NOT_BASE64)
        try:
            data = binascii.a2b_base64(text, strict_mode=True)
        except binascii.Error as error:
            raise Malformed(_NOT_BASE64) from error
        self._ended = text.endswith(b"=")
        self._most -= len(data)
        if self._most < 0:
            raise self._too_large
        self._file.write(data)


def _unescaped(escape: re.Match[bytes]) -> bytes:
    letter = escape[1] or bytes([int(escape[2], 16)])
    if letter == b"\\":
        raise Malformed(_NOT_BASE64)
    return letter


def _parsed(text: bytes) -> Given:
    try:
        # orjson takes the last of two members with one name; which one a caller meant can't be known.
        json.loads(text, object_pairs_hook=_require_once)
        body = orjson.loads(text)
    except (ValueError, RecursionError) as error:
        raise Malformed(_NOT_JSON) from error
    if not isinstance(body, dict):
        raise Malformed("The body must be a JSON object.")
    return Given(body)


def _require_once(pairs: list[tuple[str, object]]) -> None:
    if len({name for name, _ in pairs}) < len(pairs):
        raise Malformed("A name is given more than once in an object of the body.")


def _shown(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name)[:60]
