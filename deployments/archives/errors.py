"""What can be wrong with an archive, each in its own sentence."""

from core.errors import ApplicationError, Malformed

_LONGEST_SHOWN = 80


class Refused(Malformed):
    """400: the archive is damaged, or holds something that no app's source needs."""

    default = "archive: This archive can't be used."


class TooLarge(ApplicationError):
    """413: the archive is too large, or what it holds is too much."""

    status = 413
    default = "archive: The archive is too large."


def shown(name: str | bytes) -> str:
    """A name out of an archive, short and printable enough to be said back."""
    text = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"


def empty() -> Refused:
    """Nothing was sent, or nothing is in it."""
    return Refused("archive: The archive is empty.")


def not_gzip() -> Refused:
    """The archive doesn't begin as gzip does."""
    return Refused("archive: This is not a gzip-compressed tar archive.")


def truncated() -> Refused:
    """The archive ends in the middle."""
    return Refused("archive: The archive ends too early. Upload it again.")


def damaged() -> Refused:
    """The archive contradicts itself."""
    return Refused("archive: The archive is damaged. Pack it again.")


def followed() -> Refused:
    """There is more behind the archive's end."""
    return Refused("archive: Something that is no part of it follows the archive. Pack it again, into a new file.")


def in_pieces() -> Refused:
    """More members of gzip than any packer writes."""
    return Refused("archive: The archive is compressed in too many pieces. Pack it with gzip.")


def names_everything() -> Refused:
    """A pax header that names or sizes all entries."""
    return Refused("archive: A global header of the archive names all files at once. Pack it without one.")


def too_fragmented() -> Refused:
    """A sparse file of very many pieces."""
    return Refused("archive: A sparse file consists of too many pieces. Pack it without `--sparse`.")


def too_much(megabytes: int) -> TooLarge:
    """More than may be unpacked."""
    return TooLarge(f"archive: Unpacked, the archive is larger than {megabytes} MB. Leave out what the build can do.")


def too_many(count: int) -> TooLarge:
    """More entries than may be unpacked."""
    return TooLarge(f"archive: The archive holds more than {count} files and folders. Leave out what the build can do.")


def absolute(name: str) -> Refused:
    """A path from the root of the disk."""
    return Refused(f"archive: {shown(name)} is an absolute path. Pack the app's folder with relative ones.")


def climbing(name: str) -> Refused:
    """A path with `..`."""
    return Refused(f"archive: {shown(name)} leads out of the app's folder.")


def unnatural(name: str | bytes, why: str) -> Refused:
    """A name that no file should have."""
    return Refused(f"archive: The name {shown(name)} {why}.")


def disguised(name: str, as_what: str) -> Refused:
    """A name that only looks like another one."""
    return Refused(f"archive: The name {shown(name)} could be taken for {as_what}. Rename it.")


def twice(name: str) -> Refused:
    """Two entries have one path."""
    return Refused(f"archive: {shown(name)} is in the archive twice.")


def through_link(name: str) -> Refused:
    """A path that goes on where a link, or a file, is."""
    return Refused(f"archive: {shown(name)} lies behind a link or a file, not in a folder.")


def link_leaves(name: str) -> Refused:
    """A link to somewhere else."""
    return Refused(
        f"archive: The link {shown(name)} leads out of the app's folder. "
        "Leave it out, and make it in the Dockerfile if the app needs it."
    )


def link_to_nothing(name: str) -> Refused:
    """A hard link to what isn't a file of the archive."""
    return Refused(f"archive: The hard link {shown(name)} leads to no file before it in the archive.")


def too_tangled() -> Refused:
    """Links that lead through links, too often."""
    return Refused(
        "archive: The links in the archive lead through each other too often. Leave out those that go in a circle."
    )


def must_be_file(name: str) -> Refused:
    """A link or a folder where a file has to be."""
    return Refused(f"archive: {name} must be an ordinary file. Put a copy there instead of a link.")


def of_odd_kind(name: str, kind: str) -> Refused:
    """A device or the like."""
    return Refused(f"archive: {shown(name)} is {kind}. Only files, folders and links are taken.")


def no_dockerfile(folder: str = "") -> Refused:
    """Nothing to build with; `folder` has the only one that is there."""
    if folder:
        return Refused(
            f"archive: There is no Dockerfile at the top of the archive, but one in the folder {shown(folder)}. "
            "Pack what is in that folder, without the folder itself."
        )
    return Refused("archive: There is no Dockerfile at the top of the archive.")


def dockerfile_too_large() -> Refused:
    """The Dockerfile is longer than anybody writes one."""
    return Refused("archive: The Dockerfile is larger than 1 MB.")
