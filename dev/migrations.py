"""Whether the database of a state folder has had all migrations, without asking Django, which takes seconds."""

import hashlib
from pathlib import Path

import psycopg

from dev.state import write_private

_STAMP = "migrated"
_ROOT = Path(__file__).resolve().parent.parent


def are_done(state: Path, *, database_url: str) -> bool:
    """Say whether this very database was migrated with just these migrations and these dependencies."""
    stamp = state / _STAMP
    return stamp.exists() and stamp.read_text(encoding="utf-8").strip() == _fingerprint(database_url)


def note_done(state: Path, *, database_url: str) -> None:
    """Remember that it was, until something changes."""
    write_private(state / _STAMP, _fingerprint(database_url) + "\n")


def _fingerprint(database_url: str) -> str:
    """Changes with the cluster as well."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT system_identifier FROM pg_control_system()").fetchone()
    return f"{row} {fingerprint()}"


def fingerprint() -> str:
    """Return what changes with every own migration, and every dependency, which may bring migrations of its own."""
    files = [*_ROOT.glob("*/migrations/*.py"), _ROOT / "requirements" / "development.txt"]
    contents = (f"{path.relative_to(_ROOT)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}" for path in sorted(files))
    return hashlib.sha256("\n".join(contents).encode()).hexdigest()
