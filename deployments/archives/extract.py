"""Unpacking an archive into a fresh folder, and nowhere else.

The walk has judged every path before anything is made of it. Beside that, each part of a path is opened
relative to its parent, as a folder and never through a link, so that not even a mistake there, or somebody who
changes the folder meanwhile, could lead elsewhere. Symbolic links come last.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deployments.archives.check import Walk, hard_target
from deployments.archives.file_tree import Contents
from deployments.archives.gunzip import Source
from deployments.archives.tar_entries import Limits
from deployments.archives.tar_headers import Kind

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MODE, _EXECUTABLE_MODE = 0o644, 0o755


def extract(file: Source, folder: Path, *, limits: Limits) -> Contents:
    """Unpack the archive into `folder`, which is made, or is there and empty. Gives what the archive holds.

    `fly.toml` and `.env` at the top are left out. Files get ordinary modes and belong to this process. Raises
    Refused or TooLarge, FileExistsError for a folder that isn't empty, and OSError; something may lie in the
    folder then.
    """
    folder.mkdir(mode=0o755, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(folder)
    root = os.open(folder, _FOLDER)
    try:
        walk = Walk(file, limits)
        for parts, entry, content in walk.steps():
            if entry.kind is Kind.FOLDER:
                with _opened(root, parts):
                    pass
            elif entry.kind is Kind.HARD_LINK:
                _link(root, hard_target(entry, ""), parts)
            else:
                _write(root, parts, content, executable=entry.executable)
        for parts, target in walk.tree.links():
            with _opened(root, parts[:-1]) as parent:
                os.symlink("/".join(target) or ".", parts[-1], dir_fd=parent)
        return walk.contents()
    finally:
        os.close(root)


@contextmanager
def _opened(root: int, parts: Iterable[str]) -> Iterator[int]:
    """The folder at a path below the root, made where it isn't there."""
    current = os.dup(root)
    try:
        for part in parts:
            inner = _entered(current, part)
            os.close(current)
            current = inner
        yield current
    finally:
        os.close(current)


def _entered(parent: int, name: str) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=parent)
    except FileNotFoundError:
        os.mkdir(name, 0o755, dir_fd=parent)
        inner = os.open(name, _FOLDER, dir_fd=parent)
        os.fchmod(inner, 0o755)
        return inner


def _write(root: int, parts: tuple[str, ...], content: Iterable[bytes], *, executable: bool) -> None:
    with _opened(root, parts[:-1]) as parent:
        _make_way(parent, parts[-1])
        descriptor = os.open(parts[-1], _NEW_FILE, 0o600, dir_fd=parent)
    with os.fdopen(descriptor, "wb") as written:
        for piece in content:
            written.write(piece)
        os.fchmod(descriptor, _EXECUTABLE_MODE if executable else _MODE)


def _make_way(parent: int, name: str) -> None:
    """Remove a file of this name that came before: the last one counts, and those linked to it keep their content."""
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=parent)


def _link(root: int, source: tuple[str, ...], parts: tuple[str, ...]) -> None:
    with _opened(root, source[:-1]) as source_parent, _opened(root, parts[:-1]) as parent:
        _make_way(parent, parts[-1])
        os.link(source[-1], parts[-1], src_dir_fd=source_parent, dst_dir_fd=parent, follow_symlinks=False)
