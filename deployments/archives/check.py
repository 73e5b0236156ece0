"""Checking an archive while it streams by."""

from collections.abc import Iterator

from deployments.archives import errors, paths
from deployments.archives.file_tree import Contents, Tree
from deployments.archives.gunzip import Source
from deployments.archives.paths import DOCKERFILE, ENVIRONMENT_FILE, FLY_TOML
from deployments.archives.tar_entries import Entry, Limits, entries
from deployments.archives.tar_headers import Kind

_LARGEST_DOCKERFILE = 1 << 20
_MOST_ENVIRONMENT_FILES = 10
_TAKEN = frozenset({Kind.FILE, Kind.FOLDER, Kind.SYMLINK, Kind.HARD_LINK})


class Walk:
    """Goes through an archive once. `contents()` and `tree` are complete when the steps are over."""

    def __init__(self, source: Source, limits: Limits) -> None:
        self.tree = Tree(limits)
        self._source = source
        self._limits = limits
        self._files = 0
        self._dockerfile: bytes | None = None
        self._ignored: set[str] = set()
        self._environment_files: dict[str, None] = {}

    def steps(self) -> Iterator[tuple[tuple[str, ...], Entry, Iterator[bytes]]]:
        """Each file, folder and hard link that is to be unpacked: path, entry and content. Raises Refused, TooLarge.

        Symbolic links are not among them: `tree.links()` has them once everything is known.
        """
        for entry in entries(self._source, self._limits):
            if entry.kind is Kind.FILE and paths.is_litter(entry.name):
                continue
            parts = paths.parts_of(entry.name)
            if left_out := paths.never_unpacked(parts):
                self.tree.is_empty = False
                self._ignored.add(left_out)
                continue
            if self._is_itself(entry, parts):
                continue
            self._judge(entry, parts)
            content = entry.content()
            self._files += entry.kind is Kind.FILE
            if parts == (DOCKERFILE,):
                content = self._keeping(entry, content)
            if parts and entry.kind is not Kind.SYMLINK:
                yield parts, entry, content
        if self.tree.is_empty:
            raise errors.empty()
        self.tree.require_links_inside()
        if self._dockerfile is None:
            raise errors.no_dockerfile(self.tree.only_folder_with(DOCKERFILE))

    def contents(self) -> Contents:
        """What was found; after the last step."""
        return Contents(
            files=self._files,
            dockerfile=(self._dockerfile or b"").decode("utf-8", "replace"),
            has_fly_toml=FLY_TOML in self._ignored,
            has_environment_file=ENVIRONMENT_FILE in self._ignored,
            environment_files=tuple(errors.shown(name) for name in self._environment_files),
        )

    def _is_itself(self, entry: Entry, parts: tuple[str, ...]) -> bool:
        """Whether it is a hard link from a file to itself, as some packers make of a file that is named twice."""
        return (
            entry.kind is Kind.HARD_LINK and hard_target(entry, "/".join(parts)) == parts and self.tree.has_file(parts)
        )

    def _judge(self, entry: Entry, parts: tuple[str, ...]) -> None:
        """Return when all that can be known about the entry is in order."""
        name = "/".join(parts)
        if entry.kind not in _TAKEN:
            raise errors.of_odd_kind(name, entry.kind.value)
        target: tuple[str, ...] = ()
        if entry.kind is Kind.SYMLINK:
            target = paths.target_of(entry.target, name)
        if entry.kind is Kind.HARD_LINK:
            self.tree.require_file(hard_target(entry, name), name)
        self.tree.add(parts, entry.kind, target)
        if (
            entry.kind is not Kind.FOLDER
            and paths.is_environment_file(parts[-1])
            and len(self._environment_files) < _MOST_ENVIRONMENT_FILES
        ):
            self._environment_files[name] = None

    def _keeping(self, entry: Entry, content: Iterator[bytes]) -> Iterator[bytes]:
        if entry.size > _LARGEST_DOCKERFILE:
            raise errors.dockerfile_too_large()
        self._dockerfile = b"".join(content)
        return iter([self._dockerfile])


def hard_target(entry: Entry, name: str) -> tuple[str, ...]:
    """The path that a hard link leads to, from the top of the archive. Raises Refused."""
    try:
        return paths.parts_of(entry.target)
    except errors.Refused:
        raise errors.link_leaves(name) from None


def check(file: Source, *, limits: Limits) -> Contents:
    """Read the archive to its end and tell what it holds. Raises Refused or TooLarge, and writes nothing."""
    walk = Walk(file, limits)
    for _ in walk.steps():
        pass
    return walk.contents()
