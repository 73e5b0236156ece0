"""Sparse files: which pieces of a file an archive brings, and where the holes between them are.

Four ways of writing that are in use: GNU's old one and those of pax, 0.0, 0.1 and 1.0
(https://www.gnu.org/software/tar/manual/html_section/Sparse-Formats.html).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from deployments.archives import errors, tar_headers
from deployments.archives.tar_headers import BLOCK

# A piece is a block at least; this many are a file that somebody has made for us.
_MOST_PIECES = 20_000
_OLD_IN_HEADER, _OLD_IN_BLOCK, _OLD_ENTRY, _OLD_NUMBER = 4, 21, 24, 12
_OLD_MAP, _OLD_CONTINUED, _OLD_SIZE = 386, 482, 483
_BLOCK_CONTINUED = 504
_LONGEST_NUMBER = 20
Records = Sequence[tuple[str, bytes]]
Read = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Map:
    """Where the pieces of a file belong, `(offset, length)` each, and how long it is with its holes."""

    pieces: tuple[tuple[int, int], ...]
    size: int

    @property
    def stored(self) -> int:
        """How many bytes the pieces have together."""
        return sum(length for _, length in self.pieces)

    def require_sound(self, *, stored: int) -> "Map":
        """Itself, when the pieces follow one another within the file and are what is stored. Raises Refused."""
        end = 0
        for offset, length in self.pieces:
            if offset < end:
                raise errors.damaged()
            end = offset + length
        if end > self.size or self.stored != stored:
            raise errors.damaged()
        return self

    def holes(self) -> Iterator[tuple[int, int]]:
        """Each piece as the length of the hole before it and its own; last the hole at the end."""
        end = 0
        for offset, length in self.pieces:
            yield offset - end, length
            end = offset + length
        yield self.size - end, 0


def old_gnu(block: bytes, read: Read) -> Map:
    """The map in a header of GNU's old kind, and in the blocks after it. Raises Refused or TooLarge."""
    pieces = _old_pieces(block[_OLD_MAP:], _OLD_IN_HEADER)
    is_continued = block[_OLD_CONTINUED]
    while is_continued:
        more = read(BLOCK)
        if len(more) < BLOCK:
            raise errors.truncated()
        found = _old_pieces(more, _OLD_IN_BLOCK)
        if not found:
            raise errors.damaged()  # or it could go on for ever
        pieces += found
        _require_few(pieces)
        is_continued = more[_BLOCK_CONTINUED]
    return Map(_without_end(pieces), tar_headers.number(block[_OLD_SIZE : _OLD_SIZE + _OLD_NUMBER]))


def is_sparse(records: Records) -> bool:
    """Whether a pax header says so."""
    return any(key.startswith("GNU.sparse.") for key, _ in records)


def of_pax(records: Records, *, stored: int, read: Read) -> tuple[Map, int]:
    """The map that pax records tell, or that the content begins with; and how much of the content that takes.

    `read` gives the content's next bytes. Raises Refused.
    """
    said = dict(records)
    size = tar_headers.pax_size(said.get("GNU.sparse.realsize") or said.get("GNU.sparse.size") or b"")
    if "GNU.sparse.major" in said:
        pieces, taken = _read_map(read, stored)
        return Map(_without_end(pieces), size), taken
    if "GNU.sparse.map" in said:
        numbers = [tar_headers.pax_size(number) for number in said["GNU.sparse.map"].split(b",")]
    else:
        of_pieces = (value for key, value in records if key in {"GNU.sparse.offset", "GNU.sparse.numbytes"})
        numbers = [tar_headers.pax_size(value) for value in of_pieces]
    return Map(_without_end(_paired(numbers)), size), 0


def _old_pieces(field: bytes, most: int) -> list[tuple[int, int]]:
    pieces = []
    for start in range(0, most * _OLD_ENTRY, _OLD_ENTRY):
        offset, length = field[start : start + _OLD_NUMBER], field[start + _OLD_NUMBER : start + _OLD_ENTRY]
        if not offset.strip(b"\0 ") and not length.strip(b"\0 "):
            break
        pieces.append((tar_headers.number(offset), tar_headers.number(length)))
    return pieces


def _read_map(read: Read, stored: int) -> tuple[list[tuple[int, int]], int]:
    """Version 1.0: how many pieces there are, then their numbers, a line each, filled up to whole blocks."""
    text, numbers, count = b"", list[int](), -1
    taken = 0
    while count < 0 or len(numbers) < 2 * count:
        if taken + BLOCK > stored + -stored % BLOCK:
            raise errors.damaged()
        block = read(BLOCK)
        if len(block) < BLOCK:
            raise errors.truncated()
        taken += BLOCK
        *lines, text = (text + block).split(b"\n")
        for line in lines:
            if count < 0:
                count = tar_headers.pax_size(line)
                _require_few(range(count))
            elif len(numbers) < 2 * count:
                numbers.append(tar_headers.pax_size(line))
        if len(text) > BLOCK + _LONGEST_NUMBER:
            raise errors.damaged()
    return _paired(numbers), taken


def _paired(numbers: list[int]) -> list[tuple[int, int]]:
    if len(numbers) % 2:
        raise errors.damaged()
    pieces = list(zip(numbers[::2], numbers[1::2], strict=True))
    _require_few(pieces)
    return pieces


def _without_end(pieces: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Drop pieces of no length: one at the end only says how long the file is."""
    return tuple(piece for piece in pieces if piece[1])


def _require_few(pieces: Sequence[object]) -> None:
    if len(pieces) > _MOST_PIECES:
        raise errors.too_fragmented()
