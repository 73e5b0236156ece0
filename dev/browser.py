"""The machine's own Chromium, Node and npm, for the tests that need them."""

import os
import shutil
from pathlib import Path

_CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
_MACOS_CHROME = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")


def chromium_path() -> Path | None:
    """Return the browser to drive: CHROMIUM if set, else the first found; None without one."""
    chosen = os.environ.get("CHROMIUM")
    found = [shutil.which(chosen)] if chosen else [shutil.which(name) for name in _CHROMIUM_NAMES]
    if not chosen and _MACOS_CHROME.exists():
        found.append(str(_MACOS_CHROME))
    return next((Path(path) for path in found if path), None)


def node_path() -> Path | None:
    """Return Node, or None without one."""
    found = shutil.which("node")
    return Path(found) if found else None


def npm_path() -> Path | None:
    """Return npm, or None without it or without Node."""
    found = shutil.which("npm")
    return Path(found) if found and node_path() else None
