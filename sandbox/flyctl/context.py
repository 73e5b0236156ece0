"""The files that a build is given: those of its folder that the ignore file lets through."""

import posixpath
from pathlib import Path

from buildkit import ignore_file
from buildkit.ignore_file import IgnoreFile


class Context:
    """A folder as the builder sees it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ignored = IgnoreFile(self._ignore_text())

    @property
    def size(self) -> int:
        """How many bytes are sent."""
        files = (path for path in self._folder.rglob("*") if path.is_file() and not path.is_symlink())
        return sum(path.stat().st_size for path in files if self._is_seen(path))

    def has(self, source: str) -> bool:
        """Whether a source of COPY or ADD is there. One with wildcards may stand for nothing."""
        if ignore_file.has_wildcards(source):
            return True
        path = posixpath.normpath(f"/{source}").lstrip("/")
        found = self._within(path)
        if found is None:
            return False
        return not path or self._is_seen(self._folder / path) or any(map(self._is_seen, found.rglob("*")))

    def read(self, name: str) -> str | None:
        """The text of a file; None when it isn't there."""
        path = posixpath.normpath(f"/{name}").lstrip("/")
        found = self._within(path)
        if ".." in name.split("/") or found is None or not found.is_file() or not self._is_seen(self._folder / path):
            return None
        return found.read_text(encoding="utf-8", errors="replace")

    def _ignore_text(self) -> str:
        for name in ignore_file.NAMES:
            found = self._within(name)
            if found is not None and found.is_file():
                return found.read_text(encoding="utf-8", errors="replace")
        return ""

    def _within(self, path: str) -> Path | None:
        """What is at a path, when it is there and in the folder, links followed."""
        if "\0" in path or not (self._folder / path).exists():
            return None
        found = (self._folder / path).resolve()
        return found if found.is_relative_to(self._folder.resolve()) else None

    def _is_seen(self, path: Path) -> bool:
        return not self._ignored.keeps_out(path.relative_to(self._folder).as_posix())
