"""Archives that attack, or are no archives, and the sentence that each is refused with."""
# ruff: noqa: E501 - one line for each

import gzip
import os
import tarfile
import zlib

from tests.deployments.archive_builder import (
    described,
    entry,
    folder,
    hard_link,
    old_sparse,
    packed,
    packed_blocks,
    raw_header,
    record,
    resized,
    symlink,
    tar,
)

NO_TAR = "archive: This is not a gzip-compressed tar archive."
TRUNCATED = "archive: The archive ends too early. Upload it again."
DAMAGED = "archive: The archive is damaged. Pack it again."
FOLLOWED = "archive: Something that is no part of it follows the archive. Pack it again, into a new file."
IN_PIECES = "archive: The archive is compressed in too many pieces. Pack it with gzip."
NAMES_ALL = "archive: A global header of the archive names all files at once. Pack it without one."
NO_LINK = "must be an ordinary file. Put a copy there instead of a link."
TANGLED = "archive: The links in the archive lead through each other too often. Leave out those that go in a circle."
TOO_MUCH = "archive: Unpacked, the archive is larger than 20 MB. Leave out what the build can do."
TOO_MANY = "archive: The archive holds more than 200 files and folders. Leave out what the build can do."


def odd(name: str, kind: str) -> str:
    return f"archive: {name} is {kind}. Only files, folders and links are taken."


def leaves(name: str) -> str:
    return (
        f"archive: The link {name} leads out of the app's folder. "
        "Leave it out, and make it in the Dockerfile if the app needs it."
    )


def climbs(name: str) -> str:
    return f"archive: {name} leads out of the app's folder."


def taken_for(name: str, what: str) -> str:
    return f"archive: The name {name} could be taken for {what}. Rename it."


def nothing_before(name: str) -> str:
    return f"archive: The hard link {name} leads to no file before it in the archive."


def behind(name: str) -> str:
    return f"archive: {name} lies behind a link or a file, not in a folder."


SOUND = packed(entry("src/app.js", os.urandom(200_000)))
ATTACKS: dict[str, tuple[bytes, str]] = {
    # --- no archive at all
    "nothing": (b"", "archive: The archive is empty."),
    "text": (b"hello", NO_TAR),
    "zip": (b"PK\x03\x04" + bytes(100), NO_TAR),
    "tar that isn't compressed": (tar(), NO_TAR),
    "gzip of text": (gzip.compress(b"hello" * 1000), NO_TAR),
    "gzip of little text": (gzip.compress(b"hello"), NO_TAR),
    "gzip of nothing": (gzip.compress(b""), "archive: The archive is empty."),
    "no entries": (gzip.compress(bytes(1024)), "archive: The archive is empty."),
    "raw deflate": (zlib.compress(tar()), NO_TAR),
    "only the folder itself": (packed(folder("./"), dockerfile=False), "archive: There is no Dockerfile at the top of the archive."),
    # --- cut or damaged
    "cut in the middle": (SOUND[: len(SOUND) // 2], TRUNCATED),
    "cut before its checksum": (SOUND[:-6], TRUNCATED),
    "cut header of gzip": (SOUND[:5], TRUNCATED),
    "a wrong checksum of gzip": (SOUND[:-8] + bytes(4) + SOUND[-4:], DAMAGED),
    "garbage inside": (SOUND[:300] + b"\xff" * 300 + SOUND[600:], DAMAGED),
    "garbage after it": (SOUND + b"garbage", FOLLOWED),
    "garbage after zeros": (SOUND + bytes(600) + b"garbage", FOLLOWED),
    "tar cut in a file": (gzip.compress(tar(entry("a", b"x" * 2000))[:2048]), TRUNCATED),
    "tar cut in a header": (gzip.compress(tar()[:1024] + b"x" * 100), TRUNCATED),
    "a second archive behind the end": (gzip.compress(tar() + tar(entry("evil", b"x"))), FOLLOWED),
    "a header whose checksum is wrong": (packed_blocks(b"x" * 512), DAMAGED),
    "a negative size": (packed_blocks(raw_header(b"a")[:124] + b"\xff" * 12 + raw_header(b"a")[136:]), DAMAGED),
    "a pax record that is too short": (packed_blocks(described(b"x", b"3 path=x\n", raw_header(b"a"))), DAMAGED),
    "a pax record that is too long": (packed_blocks(described(b"x", b"99 path=x\n", raw_header(b"a"))), DAMAGED),
    "a pax record of length zero": (packed_blocks(described(b"x", b"0 path=x\n", raw_header(b"a"))), DAMAGED),
    "a pax size of words": (packed_blocks(described(b"x", record("size", b"-1"), raw_header(b"a"))), DAMAGED),
    "names for all entries": (packed_blocks(described(b"g", record("path", b"x"), raw_header(b"a"))), NAMES_ALL),
    "a link with content": (packed_blocks(raw_header(b"a", b"2", 512, b"b"), bytes(512)), DAMAGED),
    "millions of empty members": (gzip.compress(tar()) + gzip.compress(b"") * 2000, IN_PIECES),
    # --- ways out by name
    "an absolute path": (packed(entry("/etc/cron.d/evil", b"x")), "archive: /etc/cron.d/evil is an absolute path. Pack the app's folder with relative ones."),
    "an absolute path of two slashes": (packed(entry("//evil", b"x")), "archive: //evil is an absolute path. Pack the app's folder with relative ones."),
    "a path that climbs": (packed(entry("../evil", b"x")), climbs("../evil")),
    "a path that climbs later": (packed(entry("a/b/../../../evil", b"x")), climbs("a/b/../../../evil")),
    "a path that comes back": (packed(entry("a/../evil", b"x")), climbs("a/../evil")),
    "a folder that climbs": (packed(folder("a/..")), climbs("a/../")),
    "a climbing path in a pax header": (packed_blocks(described(b"x", record("path", b"../evil"), raw_header(b"innocent"))), climbs("../evil")),
    "a climbing path in GNU's long name": (packed_blocks(described(b"L", b"../evil\0", raw_header(b"innocent"))), climbs("../evil")),
    "a NUL in a pax path": (packed_blocks(described(b"x", record("path", b"a\0b"), raw_header(b"a"))), "archive: The name a?b holds a NUL."),
    "a NUL in a long name": (packed_blocks(described(b"L", b"a\0../b\0", raw_header(b"a"))), "archive: The name a?../b holds a NUL."),
    "a control character": (packed(entry("a\x1b[2Jb", b"x")), "archive: The name a?[2Jb holds control characters."),
    "a line break": (packed(entry("a\nb", b"x")), "archive: The name a?b holds control characters."),
    "text that turns around": (packed(entry("a\u202egpj.sh", b"x")), "archive: The name a?gpj.sh holds control characters."),
    "bytes that are no UTF-8": (packed_blocks(raw_header(b"a\xff\xfe")), "archive: The name a�� is not UTF-8."),
    "a surrogate in bytes": (packed_blocks(raw_header(b"a\xed\xa0\x80")), "archive: The name a��� is not UTF-8."),
    "no name": (packed_blocks(raw_header(b"")), "archive: The name  is empty."),
    "a long name": (packed(entry("x" * 256, b"x")), f"archive: The name {'x' * 79}… is longer than 255 bytes."),
    "a long path": (packed(entry("/".join(["x" * 100] * 11), b"x")), f"archive: The name {'x' * 79}… is longer than 1024 bytes."),
    "a deep path": (packed(entry("x/" * 65 + "x", b"x")), f"archive: The name {'x/' * 39}x… is more than 64 folders deep."),
    "a description of a megabyte": (packed_blocks(described(b"x", record("path", b"x" * (1 << 20)), raw_header(b"a"))), "archive: The name described is described by more than 64 KB."),
    "a long name of a megabyte": (packed_blocks(described(b"L", b"x" * (1 << 20), raw_header(b"a"))), "archive: The name described is described by more than 64 KB."),
    "many descriptions of one name": (packed_blocks(*(described(b"x", record("comment", b"x" * 30_000), b"") for _ in range(3)), raw_header(b"a")), "archive: The name described is described by more than 64 KB."),
    "descriptions of two kinds": (packed_blocks(described(b"L", b"x" * 40_000, b""), described(b"x", record("comment", b"x" * 40_000), b""), raw_header(b"a")), "archive: The name described is described by more than 64 KB."),
    "a description of all the world": (packed_blocks(raw_header(b"d", b"x", (8 << 30) - 1)), "archive: The name d is described by more than 64 KB."),
    "a backslash": (packed(entry("..\\evil", b"x")), "archive: The name ..\\evil holds a backslash."),
    "one character that is two dots": (packed(entry("\u2025/evil", b"x")), taken_for("\u2025", "a way out of the app's folder")),
    "wide dots": (packed(entry("\uff0e\uff0e/evil", b"x")), taken_for("\uff0e\uff0e", "a way out of the app's folder")),
    "a wide slash after dots": (packed(entry("..\uff0fevil", b"x")), taken_for("..\uff0fevil", "a way out of the app's folder")),
    "a wide backslash after dots": (packed(entry("..\uff3cevil", b"x")), taken_for("..\uff3cevil", "a way out of the app's folder")),
    "dots with something invisible between": (packed(entry(".\u200b./evil", b"x")), taken_for(".?.", "a way out of the app's folder")),
    "a wide slash first": (packed(entry("\uff0fetc", b"x")), taken_for("\uff0fetc", "an absolute path")),
    "a Dockerfile of another case": (packed(entry("dockerFILE", b"x")), taken_for("dockerFILE", "Dockerfile")),
    "a Dockerfile in wide letters": (packed(entry("\uff24ockerfile", b"x")), taken_for("\uff24ockerfile", "Dockerfile")),
    "an invisible letter in .env": (packed(entry(".e\u200bnv", b"x")), taken_for(".e?nv", ".env")),
    "a dot after fly.toml": (packed(entry("fly.toml.", b"x")), taken_for("fly.toml.", "fly.toml")),
    # --- ways out by links
    "a symlink to the root": (packed(symlink("a", "/etc/passwd")), leaves("a")),
    "a symlink that climbs": (packed(symlink("a", "../../etc/passwd")), leaves("a")),
    "a symlink that climbs out of a folder": (packed(folder("d"), symlink("d/a", "../../x")), leaves("d/a")),
    "a symlink through another one": (packed(symlink("a/b/up", "../.."), symlink("out", "a/b/up/../x")), leaves("out")),
    "a symlink through one that comes later": (packed(symlink("out", "up/../../x"), folder("a"), symlink("up", "a")), leaves("out")),
    "a file through a symlink": (packed(symlink("a", "."), entry("a/evil", b"x")), behind("a/evil")),
    "a file through a symlink that leaves": (packed(symlink("a", "/tmp"), entry("a/evil", b"x")), leaves("a")),
    "a folder through a symlink": (packed(symlink("a", "b"), folder("a/b")), behind("a/b")),
    "a file instead of a symlink": (packed(symlink("a", "b"), entry("a", b"x")), "archive: a is in the archive twice."),
    "a symlink instead of a file": (packed(entry("a", b"x"), symlink("a", "b")), "archive: a is in the archive twice."),
    "a symlink instead of a folder": (packed(folder("a"), symlink("a", "b")), "archive: a is in the archive twice."),
    "a file below a file": (packed(entry("a", b"x"), entry("a/b", b"y")), behind("a/b")),
    "a symlink without a target": (packed(symlink("a", "")), "archive: The name a belongs to a link that leads nowhere."),
    "symlinks in a circle": (packed(symlink("a", "b"), symlink("b", "a")), TANGLED),
    "a symlink to itself": (packed(symlink("a", "a")), TANGLED),
    "a hard link to the root": (packed(hard_link("a", "/etc/passwd")), leaves("a")),
    "a hard link that climbs": (packed(hard_link("a", "../x")), leaves("a")),
    "a hard link to a symlink": (packed(symlink("s", "Dockerfile"), hard_link("a", "s")), nothing_before("a")),
    "a hard link through a symlink": (packed(symlink("s", "."), hard_link("a", "s/Dockerfile")), nothing_before("a")),
    "a hard link to nothing": (packed(hard_link("a", "b")), nothing_before("a")),
    "a hard link to what comes later": (packed(hard_link("a", "b"), entry("b", b"x")), nothing_before("a")),
    "a hard link to itself": (packed(hard_link("a", "a")), nothing_before("a")),
    "a hard link to a folder": (packed(folder("d"), hard_link("a", "d")), nothing_before("a")),
    "a hard link to .env": (packed(entry(".env", b"S=not-a-secret"), hard_link("a", ".env")), nothing_before("a")),
    "Dockerfile as a symlink": (packed(entry("x", b"x"), symlink("Dockerfile", "x"), dockerfile=False), f"archive: Dockerfile {NO_LINK}"),
    "Dockerfile as a hard link": (packed(entry("x", b"x"), hard_link("Dockerfile", "x"), dockerfile=False), f"archive: Dockerfile {NO_LINK}"),
    # --- other kinds
    "a character device": (packed(entry("tty", type=tarfile.CHRTYPE, devmajor=5)), odd("tty", "a character device")),
    "a block device": (packed(entry("sda", type=tarfile.BLKTYPE, devmajor=8)), odd("sda", "a block device")),
    "a FIFO": (packed(entry("pipe", type=tarfile.FIFOTYPE)), odd("pipe", "a named pipe")),
    "a sparse file of pax without a map": (packed_blocks(described(b"x", record("GNU.sparse.major", b"1"), raw_header(b"s"))), DAMAGED),
    "a sparse file whose pieces overlap": (packed_blocks(described(b"x", record("GNU.sparse.size", b"9") + record("GNU.sparse.map", b"0,2,1,2"), raw_header(b"s", size=4)), b"abcd" + bytes(508)), DAMAGED),
    "a sparse file with a piece behind its end": (packed_blocks(described(b"x", record("GNU.sparse.size", b"3") + record("GNU.sparse.map", b"0,4"), raw_header(b"s", size=4)), b"abcd" + bytes(508)), DAMAGED),
    "a sparse file that stores less than it says": (packed_blocks(described(b"x", record("GNU.sparse.size", b"9") + record("GNU.sparse.map", b"0,8"), raw_header(b"s", size=4)), b"abcd" + bytes(508)), DAMAGED),
    "a sparse file whose map never ends": (packed_blocks(described(b"x", record("GNU.sparse.major", b"1") + record("GNU.sparse.realsize", b"9"), raw_header(b"s", size=512)), b"9\n" + b"1" * 510), DAMAGED),
    "a sparse file of a million pieces": (packed_blocks(described(b"x", record("GNU.sparse.major", b"1") + record("GNU.sparse.realsize", b"9"), raw_header(b"s", size=512)), b"1000000\n" + bytes(504)), "archive: A sparse file consists of too many pieces. Pack it without `--sparse`."),
    "the rest of a file from another volume": (packed_blocks(raw_header(b"m", b"M")), odd("m", "the rest of a file from another volume")),
    "a kind of nobody's": (packed_blocks(raw_header(b"z", b"Z")), odd("z", "of an unknown kind")),
    # --- bombs
    "a bomb of zeros": (packed(entry("zeros", bytes(21 << 20))), TOO_MUCH),
    "a bomb of many files": (packed(*(entry(f"f{n}", bytes(1 << 20)) for n in range(21))), TOO_MUCH),
    "a bomb behind the end": (gzip.compress(tar() + bytes(21 << 20)), TOO_MUCH),
    "a sparse file of GNU's old kind whose map goes on without pieces": (packed_blocks(old_sparse(continued=True), *[bytes(504) + b"\1" + bytes(7)] * 50), DAMAGED),
    "a bomb of holes": (packed_blocks(described(b"x", record("GNU.sparse.size", b"%d" % (21 << 20)) + record("GNU.sparse.map", b"0,0"), raw_header(b"s"))), TOO_MUCH),
    "a bomb of many holes": (packed_blocks(*[described(b"x", record("GNU.sparse.size", b"%d" % (1 << 20)) + record("GNU.sparse.map", b"0,0"), raw_header(b"s%d" % n)) for n in range(21)]), TOO_MUCH),
    "a size in base 256": (packed_blocks(resized(raw_header(b"a"), b"\x80" + b"\x7f" * 11)), TOO_MUCH),
    "a negative size in base 256": (packed_blocks(resized(raw_header(b"a"), b"\xff" * 12)), DAMAGED),
    "a size that is only said": (packed_blocks(raw_header(b"a", size=(8 << 30) - 1)), TOO_MUCH),
    "a size that is only said in pax": (packed_blocks(described(b"x", record("size", b"9" * 18), raw_header(b"a"))), TOO_MUCH),
    "too many files": (packed(*(entry(f"f{n}") for n in range(200))), TOO_MANY),
    "too many folders": (packed(*(folder(f"f{n}") for n in range(200))), TOO_MANY),
    "too many folders on the way": (packed(*(entry(f"{n}/a/b/c/d/e/f/g") for n in range(26))), TOO_MANY),
    "too many links": (packed(*(symlink(f"l{n}", "x") for n in range(200))), TOO_MANY),
    "descriptions of nothing": (packed_blocks(*[described(b"x", b"", b"")] * 800), TOO_MANY),
    "long descriptions of nothing": (packed_blocks(*[described(b"x", record("a", b"x" * 60_000), raw_header(b"a%d" % n)) for n in range(5)]), TOO_MANY),
    # --- the Dockerfile
    "no Dockerfile": (packed(entry("app.js", b"x"), dockerfile=False), "archive: There is no Dockerfile at the top of the archive."),
    "a Dockerfile in a folder": (packed(entry("app/Dockerfile", b"x"), dockerfile=False), "archive: There is no Dockerfile at the top of the archive, but one in the folder app/. Pack what is in that folder, without the folder itself."),
    "a Dockerfile deeper down": (packed(entry("a/b/Dockerfile", b"x"), entry("README", b"x"), dockerfile=False), "archive: There is no Dockerfile at the top of the archive, but one in the folder a/b/. Pack what is in that folder, without the folder itself."),
    "a Dockerfile in two folders": (packed(entry("a/Dockerfile", b"x"), entry("b/Dockerfile", b"x"), dockerfile=False), "archive: There is no Dockerfile at the top of the archive."),
    "a backslash to the root": (packed(entry("\\evil", b"x")), "archive: The name \\evil holds a backslash."),
    "a backslash behind a disk": (packed(entry("C:\\evil", b"x")), "archive: The name C:\\evil holds a backslash."),
    "a Dockerfile of two megabytes": (packed(entry("Dockerfile", bytes(2 << 20)), dockerfile=False), "archive: The Dockerfile is larger than 1 MB."),
}  # fmt: skip
TOO_LARGE = {TOO_MUCH, TOO_MANY}
