"""`python -m dev.node_packages`: fetches the npm packages that some tests run in Node, before the tests.

The tests themselves reach nothing beyond this machine. What is fetched is pinned with its hash
in tests/clouddev/node/package-lock.json, and lies below .dev, a folder for each state of that file.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from dev.browser import node_path, npm_path

_ROOT = Path(__file__).resolve().parents[1]
_WANTED = _ROOT / "tests" / "clouddev" / "node"
_FILES = ("package.json", "package-lock.json")
_PATIENCE = 120


def node_packages() -> Path | None:
    """Return the folder in which Node finds the packages; None without Node, or when they weren't fetched."""
    folder = _folder()
    return folder if node_path() and (folder / "complete").exists() else None


def main() -> int:
    """Fetch them unless they are there; without npm, or when it fails, say so: the tests decide what that means."""
    npm = npm_path()
    if npm is None or node_packages():
        return 0
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if node_packages() is None:
            _fetch(npm, folder)
    return 0


def _folder() -> Path:
    wanted = hashlib.sha256((_WANTED / "package-lock.json").read_bytes()).hexdigest()[:16]
    return _ROOT / ".dev" / "node" / wanted


def _fetch(npm: Path, folder: Path) -> None:
    sys.stdout.write("Fetching the packages that tests run in Node ...\n")
    sys.stdout.flush()
    for name in _FILES:
        shutil.copy(_WANTED / name, folder)
    words = [str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    try:
        subprocess.run(words, cwd=folder, stdin=subprocess.DEVNULL, timeout=_PATIENCE, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"npm could not fetch them: {error}\n")
    else:
        (folder / "complete").touch()


if __name__ == "__main__":
    raise SystemExit(main())
