"""The folder of one attempt at a build, which is gone afterwards whatever happens.

It is locked while its worker lives. The system drops the lock of one that was killed, so whoever comes by
next can tell what is left over from what is in use.
"""

import fcntl
import logging
import os
import shutil
import stat
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

logger = logging.getLogger(__name__)

_LOCK = ".lock"
_YOUNG_SECONDS = 10


@contextmanager
def workspace(build_id: uuid.UUID, attempt: int) -> Iterator[Path]:
    """A fresh, empty, private folder with a short path (a Unix socket's is limited to 108 bytes)."""
    root = _root()
    remove_left_over()
    folder = root / f"{build_id.hex[:12]}-{attempt}"
    # An attempt's number is used once, so whatever lies here is nobody's.
    _remove(folder)
    folder.mkdir(mode=0o700)
    lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        _remove(folder)
        os.close(lock)


def remove_left_over() -> int:
    """Remove the folders of workers that are gone; answer how many."""
    removed = 0
    for folder in _root().iterdir():
        if folder.is_dir() and not folder.is_symlink() and _is_abandoned(folder):
            logger.info("removing %s, which a worker left behind", folder.name)
            _remove(folder)
            removed += 1
    return removed


def _is_abandoned(folder: Path) -> bool:
    try:
        # A young one may be about to be locked.
        if time.time() - folder.lstat().st_ctime < _YOUNG_SECONDS:
            return False
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return folder.exists()  # its owner makes the lock first and removes it together with the folder
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True


def _remove(folder: Path) -> None:
    """Remove a folder, also one whose build took its own permissions away."""
    for path, folders, _ in os.walk(folder):
        for name in folders:
            with suppress(OSError):
                inner = Path(path, name)
                if not inner.is_symlink():
                    inner.chmod(stat.S_IRWXU)
    shutil.rmtree(folder, ignore_errors=True)


def _root() -> Path:
    root: Path = settings.BUILD_FOLDER
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = root.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ImproperlyConfigured(f"BUILD_FOLDER must be a folder that only this user can read: {root}")
    return root
