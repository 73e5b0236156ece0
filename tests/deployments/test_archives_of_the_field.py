"""Archives as packers write them: they mean what `tar x` would make of them."""

import gzip
import io
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from deployments import archives
from tests.deployments.archive_builder import (
    DOCKERFILE,
    described,
    entry,
    folder,
    hard_link,
    packed,
    packed_blocks,
    raw_header,
    record,
    resized,
    summed,
    symlink,
    tar,
)

LIMITS = archives.Limits(expanded=20 << 20, entries=200)


def unpacked(archive: bytes, place: Path) -> dict[str, bytes]:
    """The files of the archive but its Dockerfile, which is sound; a link is told by where it leads."""
    contents = archives.extract(io.BytesIO(archive), place / "context", limits=LIMITS)
    assert contents == archives.check(io.BytesIO(archive), limits=LIMITS)
    found = {}
    for path in (place / "context").rglob("*"):
        name = str(path.relative_to(place / "context"))
        if path.is_symlink():
            found[name] = b"-> " + str(path.readlink()).encode()
        elif path.is_file():
            found[name] = path.read_bytes()
    assert found.pop("Dockerfile") == DOCKERFILE
    return found


def block(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)


def old_sparse() -> bytes:
    """GNU's old format: `abc`, a hole, `def`, a hole at the end; the map goes on in a block of its own."""
    header = bytearray(raw_header(b"s", b"S", 6))
    header[257:265] = b"ustar  \0"
    pieces = [(0, 3), (1000, 1), (1001, 1), (1002, 1)]
    for number, (offset, length) in enumerate(pieces):
        header[386 + 24 * number : 410 + 24 * number] = b"%011o\0%011o\0" % (offset, length)
    header[482] = 1
    header[483:495] = b"%011o\0" % 1010
    more = b"%011o\0%011o\0" % (1010, 0)
    return summed(bytes(header)) + block(more) + block(b"abcdef")


SPARSE = b"abc" + bytes(997) + b"def" + bytes(7)
MAP = (b"0", b"3", b"1000", b"3", b"1010", b"0")
PIECES = [("GNU.sparse.offset", "GNU.sparse.numbytes")[n % 2] for n in range(6)]
SPARSE_FILES = {
    "GNU's old format": old_sparse(),
    "pax 0.0": described(
        b"x",
        record("GNU.sparse.size", b"1010")
        + record("GNU.sparse.numblocks", b"3")
        + b"".join(record(key, value) for key, value in zip(PIECES, MAP, strict=True)),
        raw_header(b"s", size=6),
    )
    + block(b"abcdef"),
    "pax 0.1": described(
        b"x",
        record("GNU.sparse.size", b"1010")
        + record("GNU.sparse.numblocks", b"3")
        + record("GNU.sparse.name", b"s")
        + record("GNU.sparse.map", b",".join(MAP)),
        raw_header(b"GNUSparseFile.1/s", size=6),
    )
    + block(b"abcdef"),
    "pax 1.0": described(
        b"x",
        record("GNU.sparse.major", b"1")
        + record("GNU.sparse.minor", b"0")
        + record("GNU.sparse.name", b"s")
        + record("GNU.sparse.realsize", b"1010"),
        raw_header(b"GNUSparseFile.1/s", size=512 + 6),
    )
    + block(b"3\n" + b"\n".join(MAP) + b"\n")
    + block(b"abcdef"),
}


@pytest.mark.parametrize("format_", SPARSE_FILES)
def test_a_sparse_file_has_its_holes_again(tmp_path, format_):
    archive = packed_blocks(SPARSE_FILES[format_], raw_header(b"after", size=1), block(b"x"))
    assert unpacked(archive, tmp_path) == {"s": SPARSE, "after": b"x"}


@pytest.mark.parametrize(
    "options",
    [["--format=gnu"], *(["--format=posix", f"--sparse-version={version}"] for version in ("0.0", "0.1", "1.0"))],
    ids=" ".join,
)
@pytest.mark.skipif(shutil.which("tar") is None, reason="there is no tar to compare with")
def test_what_tar_itself_packs_sparsely_is_what_it_was(tmp_path, options):
    source = tmp_path / "source"
    source.mkdir()
    (source / "Dockerfile").write_bytes(DOCKERFILE)
    with (source / "App.dll").open("wb") as file:
        for number in range(40):
            file.seek(number * 100_000)
            file.write(b"%d" % number)
        file.truncate(4_500_000)
    packed_file = tmp_path / "a.tgz"
    subprocess.run(["tar", "-S", *options, "-czf", packed_file, "-C", source, "."], check=True)
    found = unpacked(packed_file.read_bytes(), tmp_path)
    assert found == {"App.dll": (source / "App.dll").read_bytes()}


def test_of_two_files_of_one_name_the_last_counts(tmp_path):
    archive = packed(
        entry("a", b"old and longer"), hard_link("kept", "a"), entry("./a", b"new"), entry("Dockerfile", DOCKERFILE)
    )
    assert unpacked(archive, tmp_path) == {"a": b"new", "kept": b"old and longer"}


def test_of_two_dockerfiles_the_last_counts():
    archive = packed(entry("Dockerfile", b"FROM old"), entry("./Dockerfile", b"FROM new"), dockerfile=False)
    assert archives.check(io.BytesIO(archive), limits=LIMITS).dockerfile == "FROM new"


def test_of_two_links_of_one_name_the_last_counts(tmp_path):
    assert unpacked(packed(symlink("l", "a"), symlink("l", "b")), tmp_path) == {"l": b"-> b"}


def test_a_hard_link_to_itself_is_nothing(tmp_path):
    archive = packed(entry("a", b"x"), hard_link("./a", "a"), hard_link("Dockerfile", "./Dockerfile"))
    assert unpacked(archive, tmp_path) == {"a": b"x"}


def test_a_hard_link_to_a_hard_link_is_one(tmp_path):
    archive = packed(entry("a", b"x"), hard_link("b", "a"), hard_link("c", "b"))
    assert unpacked(archive, tmp_path) == {"a": b"x", "b": b"x", "c": b"x"}


@pytest.mark.parametrize(
    "entries",
    [
        [symlink(".env", "/etc/passwd")],
        [symlink(".env", ".env.local")],
        [hard_link(".env", "Dockerfile")],
        [folder(".env"), entry(".env/secret", b"not-a-secret")],
        [entry(".ENV", b"not-a-secret")],
        [entry(".env", type=tarfile.FIFOTYPE)],
        [symlink("fly.toml", "fly.prod.toml")],
        [folder("fly.toml")],
        [entry("FLY.TOML", b"x")],
        [entry("./Fly.toml", b"x")],
    ],
)
def test_names_that_are_never_unpacked_are_left_out_whatever_they_are(tmp_path, entries):
    archive = packed(*entries, entry("app.js", b"x"))
    assert unpacked(archive, tmp_path) == {"app.js": b"x"}
    contents = archives.check(io.BytesIO(archive), limits=LIMITS)
    assert contents.has_environment_file or contents.has_fly_toml


def test_what_is_called_so_further_down_is_the_apps_own(tmp_path):
    found = unpacked(packed(entry("web/.env", b"A=1"), entry("web/fly.toml", b"x")), tmp_path)
    assert found == {"web/.env": b"A=1", "web/fly.toml": b"x"}


HEADERS = {
    "a checksum over signed bytes": summed(raw_header("naïve".encode()), signed=True),
    "a size in base 256": resized(raw_header("naïve".encode()), b"\x80" + bytes(11)),
    "a mode that is no number": summed(raw_header("naïve".encode())[:100] + b"rw-r--r-" + raw_header(b"")[108:]),
    "a volume's label before it": raw_header(b"my backup", b"V") + raw_header("naïve".encode()),
}


@pytest.mark.parametrize("oddity", HEADERS)
def test_an_odd_header_is_read(tmp_path, oddity):
    header = HEADERS[oddity]
    if oddity == "a mode that is no number":
        header = summed(header[:156] + b"0" + header[157:])
    assert unpacked(packed_blocks(header), tmp_path) == {"naïve": b""}


@pytest.mark.parametrize("content", [b"", bytes(4096), b"x" * 4096], ids=["none", "zeros", "letters"])
def test_a_folder_may_tell_a_size(tmp_path, content):
    archive = packed_blocks(raw_header(b"src/", b"5", 4096), content, raw_header(b"src/a", size=1), block(b"x"))
    if content.strip(b"\0") or not content:
        assert unpacked(archive, tmp_path) == {"src/a": b"x"}
        return
    with pytest.raises(archives.Refused, match="no part of it follows"):
        unpacked(archive, tmp_path)


def test_a_hard_link_may_tell_the_size_of_its_file(tmp_path):
    archive = packed_blocks(raw_header(b"a", size=1), block(b"x"), raw_header(b"b", b"1", 1, b"a"))
    assert unpacked(archive, tmp_path) == {"a": b"x", "b": b"x"}


@pytest.mark.parametrize(
    "archive",
    [
        packed() + b"\n",
        packed() + b"\r\n \t",
        gzip.compress(tar()[:1024]),
        gzip.compress(tar()[:1536]),
        b"".join(gzip.compress(tar(entry("r", b"x" * 700_000))[at : at + 600]) for at in range(0, 710_000, 600)),
    ],
    ids=["a line break", "blanks", "no mark of the end", "half a mark of the end", "1200 members"],
)
def test_an_end_that_is_plain_is_enough(tmp_path, archive):
    assert unpacked(archive, tmp_path).keys() <= {"r"}


def test_a_backslash_is_a_letter_where_it_leads_nowhere(tmp_path):
    names = ["units/dev-disk-by\\x2dlabel.mount", "a\\b", "..a\\b"]
    assert set(unpacked(packed(*(entry(name, b"x") for name in names)), tmp_path)) == set(names)


def test_the_icons_of_folders_are_left_out(tmp_path):
    assert unpacked(packed(entry("Icon\r"), entry("src/Icon\r", b"x"), entry("Icon", b"x")), tmp_path) == {"Icon": b"x"}


def test_what_is_left_out_counts_as_something():
    with pytest.raises(archives.Refused, match="no Dockerfile"):
        archives.check(io.BytesIO(packed(folder(".env"), dockerfile=False)), limits=LIMITS)


def test_holes_are_written_as_what_they_are(tmp_path):
    unpacked(packed_blocks(SPARSE_FILES["pax 1.0"]), tmp_path)
    assert stat.S_IMODE((tmp_path / "context/s").stat().st_mode) == 0o644
