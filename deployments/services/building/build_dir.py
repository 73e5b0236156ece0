"""The folder that one worker builds in, which is gone afterwards whatever happens.

It is locked while its worker lives. The system drops the lock of one that was killed, so whoever comes by
next can tell what is left over from what is in use. The folder around is locked while one is made or judged, so
that none is judged before it is locked.
"""

import fcntl
import logging
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

logger = logging.getLogger(__name__)

_LOCK = ".lock"


@contextmanager
def build_dir(build_id: uuid.UUID, attempt: int) -> Iterator[Path]:
    """A fresh, empty, private folder with a short path (a Unix socket's is limited to 108 bytes)."""
    remove_left_over()
    folder = _root() / f"{build_id.hex[:12]}-{attempt}"
    with _nobody_else():
        # An attempt's number is used once, so whatever lies here is nobody's.
        _remove(folder)
        folder.mkdir(mode=0o700)
        lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        _remove(folder)
        os.close(lock)


def remove_left_over() -> int:
    """Remove the folders of workers that are gone; answer how many."""
    with _nobody_else():
        abandoned = [path for path in _root().iterdir() if _is_abandoned(path)]
        for folder in abandoned:
            logger.info("removing %s, which a worker left behind", folder.name)
            _remove(folder)
    return len(abandoned)


@contextmanager
def _nobody_else() -> Iterator[None]:
    """Let nobody else on this machine make or remove folders meanwhile."""
    root = os.open(_root(), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(root, fcntl.LOCK_EX)
        yield
    finally:
        os.close(root)


def _is_abandoned(folder: Path) -> bool:
    if not folder.is_dir() or folder.is_symlink():
        return False
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return folder.exists()  # its owner locks it before anybody looks, and removes the lock together with the rest
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
