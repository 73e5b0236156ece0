"""The state folder: private files, and a lock that a killed owner cannot leave behind."""

import fcntl
import os
import tempfile
from pathlib import Path
from typing import Self

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
    # mkstemp makes the file 0600; the rename makes it appear with all its content.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class FolderLock:
    """Holds a folder for one process at a time; the kernel lets go when that process dies."""

    def __init__(self, path: Path) -> None:
        """Name the lock's file; nothing is taken yet."""
        self.path = path
        self._handle: int | None = None

    def acquire(self) -> None:
        """Take the lock or raise FolderInUseError naming the process that holds it."""
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(handle, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(handle)
            message = (
                f"{self.path.parent} is in use by the running process {owner}. "
                "Stop that one, or set DEV_STATE to another folder."
            )
            raise FolderInUseError(message) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._handle = handle

    def is_held(self) -> bool:
        """Say whether a process holds it now."""
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    def release(self) -> None:
        """Let go; harmless when nothing is held. The file stays, so that no two locks exist."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> Self:
        """Take the lock."""
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        """Let go."""
        self.release()
