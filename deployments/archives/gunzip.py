"""Decompressing gzip (RFC 1952) piece by piece, never more than is allowed."""

import zlib
from typing import IO, Protocol

from deployments.archives import errors

_PIECE = 64 * 1024
# Its content may be a thousand times as much, and whoever gives it looks at the clock between two of these only.
_COMPRESSED_PIECE = 4 * 1024
_MAGIC = b"\x1f\x8b"
_GZIP = 16 + zlib.MAX_WBITS
# Some packers write a member for every few kilobytes. Without a limit, millions of empty ones would cost hours.
_MOST_SMALL_MEMBERS, _SMALL_MEMBER = 1000, 512
# What an editor or a shell leaves behind the end of a file.
_FILLING = b"\0\r\n\t "


class Source(Protocol):
    """A file that is read from its beginning."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; b"" at the end."""


class Inflated:
    """What a gzip file holds, as a stream. `most` bounds the bytes that come out of it."""

    def __init__(self, source: Source | IO[bytes], *, most: int, megabytes: int) -> None:
        self._source = source
        self._left = self._most = most
        self._megabytes = megabytes
        self._zlib = zlib.decompressobj(_GZIP)
        self._input = source.read(_COMPRESSED_PIECE)
        self._members = 1
        self._ended = False
        self._ready = b""
        if not self._input:
            raise errors.empty()
        if not self._input.startswith(_MAGIC):
            raise errors.not_gzip()

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes; fewer only at the end. Raises Refused or TooLarge."""
        pieces = []
        while size:
            if not self._ready:
                self._ready = self._inflate()
                if not self._ready:
                    break
            piece, self._ready = self._ready[:size], self._ready[size:]
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def spend(self, count: int) -> None:
        """Count bytes that come of what is read, such as a sparse file's holes. Raises TooLarge."""
        self._left -= count
        if self._left < 0:
            raise errors.too_much(self._megabytes)

    def _inflate(self) -> bytes:
        """Some more bytes; b"" at the end."""
        while not self._ended:
            try:
                out = self._zlib.decompress(self._input, _PIECE)
            except zlib.error as error:
                raise errors.damaged() from error
            self._input = self._zlib.unconsumed_tail
            if self._zlib.eof:
                self._begin_next_member()
            elif not self._input and not out:
                self._input = self._source.read(_COMPRESSED_PIECE)
                if not self._input:
                    raise errors.truncated()
            if out:
                self.spend(len(out))
                return out
        return b""

    def _begin_next_member(self) -> None:
        """Go on with what follows the end of a member: another one, what fills a block, or nothing."""
        rest = self._zlib.unused_data or self._source.read(_COMPRESSED_PIECE)
        if not rest or rest[:1] in _FILLING:
            self._ended = True
            self._require_filling(rest)
            return
        if len(rest) < len(_MAGIC):
            rest += self._source.read(_COMPRESSED_PIECE)
        if not rest.startswith(_MAGIC):
            raise errors.followed()
        self._members += 1
        if self._members > _MOST_SMALL_MEMBERS + (self._most - self._left) // _SMALL_MEMBER:
            raise errors.in_pieces()
        self._zlib = zlib.decompressobj(_GZIP)
        self._input = rest

    def _require_filling(self, rest: bytes) -> None:
        while rest:
            if rest.strip(_FILLING):
                raise errors.followed()
            rest = self._source.read(_PIECE)
