"""Walking through the entries of a tar stream."""

from collections.abc import Iterator
from dataclasses import dataclass

from deployments.archives import errors, headers
from deployments.archives.headers import BLOCK, Kind
from deployments.archives.inflating import Inflated, Source

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
    """One entry. `content()` gives a file's bytes, once, before the next entry is asked for."""

    __slots__ = ("_left", "_stream", "executable", "kind", "name", "size", "target")

    def __init__(self, header: headers.Header, stream: Inflated) -> None:
        self.kind, self.name, self.target = header.kind, header.name, header.target
        self.size, self.executable = header.size, header.executable
        self._stream = stream
        self._left = header.size

    def content(self) -> Iterator[bytes]:
        """The bytes, in pieces. Raises Refused when they end too early, or TooLarge."""
        while self._left:
            piece = self._stream.read(min(self._left, _PIECE))
            if not piece:
                raise errors.truncated()
            self._left -= len(piece)
            yield piece

    def skip(self) -> None:
        """Go to the end of the entry, with what fills its last block."""
        for _ in self.content():
            pass
        filling = -self.size % BLOCK
        if len(self._stream.read(filling)) < filling:
            raise errors.truncated()


def entries(source: Source, limits: Limits) -> Iterator[Entry]:
    """All entries in turn, down to the end that tar marks. Raises Refused or TooLarge."""
    stream = Inflated(source, most=limits.expanded, megabytes=limits.megabytes)
    described = _Described()
    count, description_bytes = 0, 0
    while (block := stream.read(BLOCK)) != _ZEROS:
        count += 1
        header = _header(block, is_first=count == 1)
        if header.kind in headers.DESCRIBING:
            description_bytes += header.size
            described.add(header.kind, _description(header, stream))
        # Reading them costs time, so there may not be any number of them.
        if (
            count > limits.entries * _DESCRIPTIONS_PER_ENTRY
            or description_bytes > limits.entries * _DESCRIPTION_BYTES_PER_ENTRY + _LONGEST_DESCRIPTION
        ):
            raise errors.too_many(limits.entries)
        if header.kind in headers.DESCRIBING:
            continue
        entry = Entry(described.apply(header), stream)
        if entry.size > limits.expanded:
            raise errors.too_much(limits.megabytes)
        described = _Described()
        yield entry
        entry.skip()
    _require_nothing_more(stream)


def _header(block: bytes, *, is_first: bool) -> headers.Header:
    """Read a header; what doesn't even begin with one is no tar archive."""
    if is_first and not block:
        raise errors.empty()
    if len(block) < BLOCK:
        raise errors.not_gzip() if is_first else errors.truncated()
    try:
        return headers.parse(block)
    except errors.Refused:
        if is_first:
            raise errors.not_gzip() from None
        raise


def _description(header: headers.Header, stream: Inflated) -> bytes:
    """The content of an entry that describes the next one; a long one is nobody's name."""
    if header.size > _LONGEST_DESCRIPTION:
        raise errors.unnatural(header.name, "is described by more than 64 KB")
    filled = header.size + -header.size % BLOCK
    content = stream.read(filled)
    if len(content) < filled:
        raise errors.truncated()
    return content[: header.size]


def _require_nothing_more(stream: Inflated) -> None:
    """Read what fills the last record, which also proves gzip's checksum."""
    while piece := stream.read(_PIECE):
        if piece.strip(b"\0"):
            raise errors.damaged()


class _Described:
    """What the entries before an entry say about it."""

    def __init__(self) -> None:
        self._long: dict[Kind, bytes] = {}
        self._pax: dict[str, bytes] = {}

    def add(self, kind: Kind, content: bytes) -> None:
        if kind is Kind.PAX_GLOBAL:
            # What git writes there is a comment. Names for all entries at once can only confuse.
            if headers.parse_pax(content).keys() & {"path", "linkpath", "size"}:
                raise errors.damaged()
        elif kind is Kind.PAX:
            self._pax |= headers.parse_pax(content)
        else:
            self._long[kind] = content.removesuffix(b"\0")

    def apply(self, header: headers.Header) -> headers.Header:
        """The entry's header with all that was said about it."""
        name = self._pax.get("path", self._long.get(Kind.LONG_NAME, header.name))
        size = headers.pax_size(self._pax["size"]) if "size" in self._pax else header.size
        kind = header.kind
        if kind is Kind.FILE and name.endswith(b"/"):
            kind = Kind.FOLDER  # as in archives older than POSIX
        if any(key.startswith("GNU.sparse.") for key in self._pax):
            kind = Kind.SPARSE
        if kind in {Kind.FOLDER, Kind.SYMLINK, Kind.HARD_LINK} and size:
            raise errors.damaged()  # readers disagree about whether content follows
        target = self._pax.get("linkpath", self._long.get(Kind.LONG_TARGET, header.target))
        return headers.Header(kind, name, target, size, header.executable)
