"""Programs of this machine that some tests run: Chromium, OpenSSH, nginx, and Node with a few npm packages.

The tests reach nothing beyond this machine, so `python -m dev.programs` fetches the packages before them. What is
fetched is pinned with its hash in tests/clouddev/node/package-lock.json, and lies below .dev, a folder for each state
of that file.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_WANTED = _ROOT / "tests" / "clouddev" / "node"
_MACOS_CHROME = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


def _found(*names: str) -> Path | None:
    return next((Path(path) for path in map(shutil.which, names) if path), None)


def chromium_path() -> Path | None:
    """Return the browser to drive: CHROMIUM if set, else the first found; None without one."""
    chosen = os.environ.get("CHROMIUM")
    return _found(chosen) if chosen else _found("chromium", "chromium-browser", "google-chrome", _MACOS_CHROME)


def node_path() -> Path | None:
    """Return Node, or None without one."""
    return _found("node")


def sshd_path() -> Path | None:
    """Return the SSH server, also where it isn't on PATH; None where it, `ssh` or `ssh-keygen` is missing."""
    server = _found("sshd", "/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/lib/openssh/sshd")
    return server if _found("ssh") and _found("ssh-keygen") else None


def nginx_path() -> Path | None:
    """Return the proxy: NGINX if set, else the first found, also where it isn't on PATH; None without one."""
    chosen = os.environ.get("NGINX")
    return _found(chosen) if chosen else _found("nginx", "/usr/sbin/nginx", "/usr/local/sbin/nginx")


def node_packages() -> Path | None:
    """Return the folder in which Node finds the packages; None without Node, or when they weren't fetched."""
    folder = _packages_folder()
    return folder if node_path() and (folder / "complete").exists() else None


def _packages_folder() -> Path:
    return _ROOT / ".dev" / "node" / hashlib.sha256((_WANTED / "package-lock.json").read_bytes()).hexdigest()[:16]


def main() -> None:
    """Fetch them unless they are there; where it fails, say so: the tests decide what that means."""
    npm = _found("npm")
    folder = _packages_folder()
    if npm is None or node_packages():
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if node_path() and node_packages() is None:
            print("Fetching the packages that tests run in Node ...", flush=True)
            for name in ("package.json", "package-lock.json"):
                shutil.copy(_WANTED / name, folder)
            words = [str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
            try:
                subprocess.run(words, cwd=folder, stdin=subprocess.DEVNULL, timeout=120, check=True)
                (folder / "complete").touch()
            except (OSError, subprocess.SubprocessError) as error:
                print(f"npm could not fetch them: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
