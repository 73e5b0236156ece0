"""Walking through the entries of a tar stream."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from deployments.archives import errors, sparse_files, tar_headers
from deployments.archives.gunzip import Inflated, Source
from deployments.archives.tar_headers import BLOCK, Kind

_PIECE = 256 * 1024
_LONGEST_DESCRIPTION = 64 * 1024
# An entry has at most a long name, a long target, and a pax header.
_DESCRIPTIONS_PER_ENTRY = 4
_DESCRIPTION_BYTES_PER_ENTRY = 1024
_ZEROS = bytes(BLOCK)


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may hold: bytes when unpacked, tar's own included, and files and folders."""

    expanded: int
    entries: int

    @property
    def megabytes(self) -> int:
        """`expanded` as people say it."""
        return self.expanded >> 20


class Entry:
    """One entry. `content()` gives a file's bytes, once, before the next entry is asked for.

    `size` is the file's, with the holes of a sparse one; `_left` counts what is stored of it.
    """

    __slots__ = ("_filling", "_left", "_map", "_stream", "executable", "kind", "name", "size", "target")

    def __init__(
        self, header: tar_headers.Header, stream: "_Blocks", holes: sparse_files.Map | None, *, left: int
    ) -> None:
        self.kind, self.name, self.target = header.kind, header.name, header.target
        self.executable = header.executable
        self.size = header.size if holes is None else holes.size
        self._map = holes
        self._stream = stream
        self._left = left
        self._filling = -left % BLOCK

    def content(self) -> Iterator[bytes]:
        """The bytes, in pieces. Raises Refused when they end too early, or TooLarge."""
        if self._map is None:
            yield from self._stored(self._left)
            return
        for hole, length in self._map.holes():
            for start in range(0, hole, _PIECE):
                yield bytes(min(hole - start, _PIECE))
            yield from self._stored(length)

    def skip(self) -> None:
        """Go to the end of the entry, with what fills its last block."""
        for _ in self._stored(self._left):
            pass
        if len(self._stream.read(self._filling)) < self._filling:
            raise errors.truncated()

    def _stored(self, length: int) -> Iterator[bytes]:
        while length:
            piece = self._stream.read(min(length, _PIECE))
            if not piece:
                raise errors.truncated()
            length -= len(piece)
            self._left -= len(piece)
            yield piece


class _Blocks:
    """The stream, of which one block may be put back."""

    def __init__(self, stream: Inflated) -> None:
        self.spend = stream.spend
        self._stream = stream
        self._again = b""

    def read(self, size: int) -> bytes:
        """Read as from the stream itself."""
        if not self._again:
            return self._stream.read(size)
        again, self._again = self._again[:size], self._again[size:]
        return again + self._stream.read(size - len(again))

    def put_back(self, block: bytes) -> None:
        """Give the bytes back, to be read once more."""
        self._again = block


def entries(source: Source, limits: Limits) -> Iterator[Entry]:
    """All entries in turn, down to the end that tar marks, or the file's. Raises Refused or TooLarge."""
    stream = _Blocks(Inflated(source, most=limits.expanded, megabytes=limits.megabytes))
    described = _Described()
    count, description_bytes = 0, 0
    # Some packers leave the mark of the end away. What is cut is noticed by gzip, which has an end of its own.
    while (block := stream.read(BLOCK)) != _ZEROS and (block or not count):
        count += 1
        header = _header(block, is_first=count == 1)
        if header.kind in tar_headers.DESCRIBING:
            description_bytes += header.size
            described.add(header.kind, _description(header, stream, before=described.bytes))
        # Reading them costs time, so there may not be any number of them.
        if (
            count > limits.entries * _DESCRIPTIONS_PER_ENTRY
            or description_bytes > limits.entries * _DESCRIPTION_BYTES_PER_ENTRY + _LONGEST_DESCRIPTION
        ):
            raise errors.too_many(limits.entries)
        if header.kind in tar_headers.DESCRIBING:
            continue
        entry = described.entry(header, block, stream, limits)
        described = _Described()
        if entry.kind is not Kind.LABEL:
            yield entry
        entry.skip()
    _require_nothing_more(stream)


def _header(block: bytes, *, is_first: bool) -> tar_headers.Header:
    """Read a header; what doesn't even begin with one is no tar archive."""
    if is_first and not block:
        raise errors.empty()
    if len(block) < BLOCK:
        raise errors.not_gzip() if is_first else errors.truncated()
    try:
        return tar_headers.parse(block)
    except errors.Refused:
        if is_first:
            raise errors.not_gzip() from None
        raise


def _description(header: tar_headers.Header, stream: _Blocks, *, before: int) -> bytes:
    """The content of an entry that describes the next one; a long one is nobody's name.

    `before` are the bytes that describe it already: all of them are kept in memory, as many times their size.
    """
    if before + header.size > _LONGEST_DESCRIPTION:
        raise errors.unnatural(header.name, "is described by more than 64 KB")
    filled = header.size + -header.size % BLOCK
    content = stream.read(filled)
    if len(content) < filled:
        raise errors.truncated()
    return content[: header.size]


def _require_nothing_more(stream: _Blocks) -> None:
    """Read what fills the last record, which also proves gzip's checksum."""
    while piece := stream.read(_PIECE):
        if piece.strip(b"\0"):
            raise errors.followed()


def _has_content(stream: _Blocks) -> bool:
    """Whether a folder or a hard link whose size is told has so much behind it: packers disagree.

    It has not where a header, or the end, comes at once.
    """
    block = stream.read(BLOCK)
    stream.put_back(block)
    if len(block) < BLOCK or block == _ZEROS:
        return False
    try:
        tar_headers.parse(block)
    except errors.Refused:
        return True
    return False


class _Described:
    """What the entries before an entry say about it."""

    def __init__(self) -> None:
        self.bytes = 0
        self._long: dict[Kind, bytes] = {}
        self._pax: list[tuple[str, bytes]] = []

    def add(self, kind: Kind, content: bytes) -> None:
        """Take in what one entry says."""
        self.bytes += len(content)
        if kind is Kind.PAX_GLOBAL:
            # What git writes there is a comment. Names for all entries at once can only confuse.
            if dict(tar_headers.parse_pax(content)).keys() & {"path", "linkpath", "size"}:
                raise errors.names_everything()
        elif kind is Kind.PAX:
            self._pax += tar_headers.parse_pax(content)
        else:
            self._long[kind] = content.removesuffix(b"\0")

    def entry(self, header: tar_headers.Header, block: bytes, stream: _Blocks, limits: Limits) -> Entry:
        """The entry with all that was said about it. Raises Refused or TooLarge."""
        header = self._applied(header)
        left, holes = header.size, None
        if header.kind is Kind.SPARSE:
            holes = sparse_files.old_gnu(block, stream.read)
        elif header.kind is Kind.FILE and sparse_files.is_sparse(self._pax):
            holes, taken = sparse_files.of_pax(self._pax, stored=header.size, read=stream.read)
            left -= taken
        elif header.kind in {Kind.FOLDER, Kind.HARD_LINK} and header.size:
            left = header.size if _has_content(stream) else 0
            header = replace(header, size=0)
        if max(left, holes.size if holes else 0) > limits.expanded:
            raise errors.too_much(limits.megabytes)
        if holes is not None:
            holes.require_sound(stored=left)
            stream.spend(holes.size - left)
            header = replace(header, kind=Kind.FILE)
        return Entry(header, stream, holes, left=left)

    def _applied(self, header: tar_headers.Header) -> tar_headers.Header:
        pax = dict(self._pax)
        name = pax.get("GNU.sparse.name") or pax.get("path", self._long.get(Kind.LONG_NAME, header.name))
        size = tar_headers.pax_size(pax["size"]) if "size" in pax else header.size
        kind = header.kind
        if kind is Kind.FILE and name.endswith(b"/"):
            kind = Kind.FOLDER  # as in archives older than POSIX
        if kind is Kind.SYMLINK and size:
            raise errors.damaged()  # readers disagree about whether content follows
        target = pax.get("linkpath", self._long.get(Kind.LONG_TARGET, header.target))
        return tar_headers.Header(kind, name, target, size, header.executable)
