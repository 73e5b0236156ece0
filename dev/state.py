"""The state folder: private files, and a lock that a killed owner cannot leave behind."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.errors import FolderInUseError


def make_folder(path: Path, *, private: bool = True) -> Path:
    """Make `path` and return it; parents that exist are left exactly as they are.

    private: 0700. Otherwise others may pass through but not list it (0711), which is what lets
    PostgreSQL reach its own folder below when it runs as another user than we do.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700 if private else 0o711, exist_ok=True)
    return path


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    # Such a temporary file is 0600; renaming makes it appear with all its content.
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    Path(file.name).replace(path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a folder by the file `path` in it, until the block ends or this process dies.

    Raises FolderInUseError naming the process that holds it.
    """
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUseError(
                f"{path.parent} is in use by the running process {file.read().strip() or 'unknown'}. "
                "Stop that one, or set DEV_STATE to another folder."
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        # The file stays, so that no two locks exist.
        yield
