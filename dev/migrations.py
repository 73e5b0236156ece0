"""Whether a database has had all migrations can be told by this, without asking Django, which takes seconds."""

import hashlib
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent


def fingerprint() -> str:
    """Return what changes with every own migration, and every dependency, which may bring migrations of its own."""
    files = [*_ROOT.glob("*/migrations/*.py"), _ROOT / "requirements" / "development.txt"]
    contents = (f"{path.relative_to(_ROOT)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}" for path in sorted(files))
    return hashlib.sha256("\n".join(contents).encode()).hexdigest()
