"""The machine's own OpenSSH, for the tests that log in with a key."""

import os
import shutil
from pathlib import Path

# Where a server's program lies is not on everybody's PATH.
_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/usr/lib/openssh")


def sshd_path() -> Path | None:
    """Return the SSH server; None where it, `ssh` or `ssh-keygen` is missing."""
    found = shutil.which("sshd", path=os.pathsep.join([os.environ.get("PATH", ""), *_FOLDERS]))
    complete = found and shutil.which("ssh") and shutil.which("ssh-keygen")
    return Path(found) if found and complete else None
