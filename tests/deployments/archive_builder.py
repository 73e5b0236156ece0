"""Makes archives for tests, honest ones and others."""

import gzip
import io
import tarfile
from typing import Any

DOCKERFILE = b"FROM scratch\nEXPOSE 3000\n"


def entry(name: str, content: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    """A tar entry; `fields` are those of TarInfo."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def folder(name: str) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, type=tarfile.DIRTYPE, mode=0o755)


def symlink(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, type=tarfile.SYMTYPE, linkname=target)


def hard_link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, type=tarfile.LNKTYPE, linkname=target)


def tar(*entries: tuple[tarfile.TarInfo, bytes], dockerfile: bool = True, format: int = tarfile.PAX_FORMAT) -> bytes:  # noqa: A002 - tarfile's word
    """A tar file of the entries, as they are, with a Dockerfile before them unless told otherwise."""
    out = io.BytesIO()
    first = (entry("Dockerfile", DOCKERFILE),) if dockerfile else ()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for info, content in (*first, *entries):
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def packed(*entries: tuple[tarfile.TarInfo, bytes], dockerfile: bool = True, **options: Any) -> bytes:
    """The same, compressed with gzip."""
    return gzip.compress(tar(*entries, dockerfile=dockerfile, **options), mtime=0)


def raw_header(name: bytes, kind: bytes = b"0", size: int = 0, target: bytes = b"") -> bytes:
    """One header block with whatever bytes, and a checksum that is right."""
    block = bytearray(512)
    block[0 : len(name)] = name
    block[100:108] = b"0000644\0"
    block[108:116] = block[116:124] = b"0000000\0"
    block[124:136] = b"%011o\0" % size
    block[136:148] = b"00000000000\0"
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[157 : 157 + len(target)] = target
    block[257:265] = b"ustar\x0000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def resized(header: bytes, size: bytes) -> bytes:
    """The header with these bytes as its size."""
    return summed(header[:124] + size + header[136:])


def summed(header: bytes, *, signed: bool = False) -> bytes:
    """The header with its checksum made anew, over signed bytes as some old programs do."""
    block = bytearray(header)
    block[148:156] = b" " * 8
    total = sum(block) - (256 * sum(byte > 127 for byte in block) if signed else 0)
    block[148:156] = b"%06o\0 " % total
    return bytes(block)


def old_sparse(*, continued: bool) -> bytes:
    """The header of an empty sparse file of GNU's old kind, whose map may go on in blocks of its own."""
    block = bytearray(raw_header(b"s", b"S"))
    block[386:482] = b"00000000000\0" * 8
    block[482], block[483:495] = continued, b"00000000000\0"
    return summed(bytes(block))


def record(key: str, value: bytes) -> bytes:
    """One record of a pax header."""
    rest = b" " + key.encode() + b"=" + value + b"\n"
    length = len(rest) + 1
    while len(str(length)) + len(rest) != length:
        length += 1
    return str(length).encode() + rest


def described(kind: bytes, content: bytes, header: bytes) -> bytes:
    """A header with an entry before it that describes it."""
    return raw_header(b"described", kind, len(content)) + content + bytes(-len(content) % 512) + header


def packed_blocks(*blocks: bytes) -> bytes:
    """A Dockerfile, then the blocks, then the end, compressed."""
    return gzip.compress(tar()[:1024] + b"".join(blocks) + bytes(1024), mtime=0)
