"""Headers of tar entries: POSIX.1-2017 (pax, ustar) and GNU's long names."""

import re
from dataclasses import dataclass
from enum import Enum

from deployments.archives import errors

BLOCK = 512
_OCTAL = re.compile(rb"[ \0]*+([0-7]*+)[ \0]*+\Z")
_MOST_DIGITS = 19


class Kind(Enum):
    """What an entry is; the values are sentences' words for those that are refused."""

    FILE = "a file"
    FOLDER = "a folder"
    SYMLINK = "a symbolic link"
    HARD_LINK = "a hard link"
    CHARACTER_DEVICE = "a character device"
    BLOCK_DEVICE = "a block device"
    FIFO = "a named pipe"
    SPARSE = "a sparse file"
    LABEL = "a volume's label"
    VOLUME = "the rest of a file from another volume"
    OTHER = "of an unknown kind"
    # These describe the entry after them.
    LONG_NAME = "a long name"
    LONG_TARGET = "a long link"
    PAX = "a pax header"
    PAX_GLOBAL = "a global pax header"


DESCRIBING = frozenset({Kind.LONG_NAME, Kind.LONG_TARGET, Kind.PAX, Kind.PAX_GLOBAL})
_KINDS = {
    b"0": Kind.FILE,
    b"\0": Kind.FILE,
    b"7": Kind.FILE,
    b"1": Kind.HARD_LINK,
    b"2": Kind.SYMLINK,
    b"3": Kind.CHARACTER_DEVICE,
    b"4": Kind.BLOCK_DEVICE,
    b"5": Kind.FOLDER,
    b"6": Kind.FIFO,
    b"S": Kind.SPARSE,
    b"V": Kind.LABEL,
    b"M": Kind.VOLUME,
    b"D": Kind.FOLDER,
    b"L": Kind.LONG_NAME,
    b"K": Kind.LONG_TARGET,
    b"x": Kind.PAX,
    b"X": Kind.PAX,
    b"g": Kind.PAX_GLOBAL,
}


@dataclass(frozen=True, slots=True)
class Header:
    """One header, as it stands: names are bytes that nobody has checked yet."""

    kind: Kind
    name: bytes
    target: bytes
    size: int
    executable: bool


def parse(block: bytes) -> Header:
    """Read a header. Raises Refused when its checksum or a number is wrong."""
    if number(block[148:156]) not in _checksums(block):
        raise errors.damaged()
    name = _text(block[0:100])
    # Only POSIX headers have a prefix; GNU's use the place for times.
    if block[257:263] == b"ustar\0" and (prefix := _text(block[345:500])):
        name = prefix + b"/" + name
    kind = _KINDS.get(block[156:157], Kind.OTHER)
    return Header(kind, name, _text(block[157:257]), number(block[124:136]), _is_executable(block[100:108]))


def parse_pax(data: bytes) -> list[tuple[str, bytes]]:
    """The records of a pax header in their order, "LENGTH KEY=VALUE" and a line break each. Raises Refused."""
    records: list[tuple[str, bytes]] = []
    position = 0
    while position < len(data) and data[position]:
        space = data.find(b" ", position, position + _MOST_DIGITS)
        digits = data[position:space] if space > position else b""
        if not digits.isdigit():
            raise errors.damaged()
        end = position + int(digits)
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not space < end <= len(data) or data[end - 1 : end] != b"\n" or not equals:
            raise errors.damaged()
        records.append((key.decode("utf-8", "replace"), value))
        position = end
    return records


def pax_size(value: bytes) -> int:
    """A size in a pax record, or another number there. Raises Refused."""
    if not value.isdigit() or len(value) > _MOST_DIGITS:
        raise errors.damaged()
    return int(value)


def _checksums(block: bytes) -> tuple[int, int]:
    """The sum of the bytes, those of the checksum itself taken for spaces; and as old programs add it, signed."""
    counted = block[:148] + block[156:BLOCK]
    unsigned = sum(counted) + 8 * ord(" ")
    return unsigned, unsigned - 256 * sum(byte > 127 for byte in counted)  # noqa: PLR2004 - the largest signed one


def _is_executable(mode: bytes) -> bool:
    """Whether the owner may run it; a mode that is no number says nothing."""
    try:
        return bool(number(mode) & 0o100)
    except errors.Refused:
        return False


def number(field: bytes) -> int:
    """An octal number, or GNU's base-256 for large ones. Raises Refused for anything else, negative ones too."""
    if field[0] & 0xC0 == 0x80:  # noqa: PLR2004 - the mark of base-256; the bit beside it is the sign
        return int.from_bytes(bytes([field[0] & 0x3F]) + field[1:], "big")
    octal = _OCTAL.match(field.partition(b"\0")[0] if field.strip(b"\0 ") else b"")
    if octal is None:
        raise errors.damaged()
    return int(octal[1] or b"0", 8)


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]
