"""The account PostgreSQL runs as: ourselves, or an unprivileged one when we are root."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from dev.errors import DevelopmentError


class ProcessArguments(TypedDict, total=False):
    """The arguments of subprocess.Popen that say who the child is."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, kw_only=True)
class ServerAccount:
    """Who runs the database server. `switches` is false when that is ourselves."""

    uid: int
    gid: int
    switches: bool

    @classmethod
    def suitable(cls) -> "ServerAccount":
        """Return our own account, or for root (whom PostgreSQL refuses) an unprivileged one."""
        if os.geteuid() != 0:
            return cls(uid=os.geteuid(), gid=os.getegid(), switches=False)
        for name in ("postgres", "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(uid=entry.pw_uid, gid=entry.pw_gid, switches=True)
        message = "PostgreSQL refuses to run as root, and there is no account postgres or nobody."
        raise DevelopmentError(message)

    def as_process_arguments(self) -> ProcessArguments:
        """Return what makes a child this account and nothing more."""
        if not self.switches:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can_pass(self, folder: Path) -> bool:
        """Say whether this account may enter `folder`, judging by the modes on the way down."""
        folder = folder.resolve()
        return all(self._may_enter(step) for step in (folder, *folder.parents))

    def _may_enter(self, step: Path) -> bool:
        found = step.stat()
        if found.st_uid == self.uid:
            return bool(found.st_mode & stat.S_IXUSR)
        if found.st_gid == self.gid:
            return bool(found.st_mode & stat.S_IXGRP)
        return bool(found.st_mode & stat.S_IXOTH)

    def take(self, path: Path) -> None:
        """Make `path` and all below it this account's own; only ever called on what we made."""
        if self.switches:
            for item in (path, *path.rglob("*")):
                os.chown(item, self.uid, self.gid, follow_symlinks=False)
