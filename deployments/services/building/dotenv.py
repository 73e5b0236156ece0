"""The `.env` that the build may read: what a browser's bundle shows anyway of the variables that were pushed."""

import os
from pathlib import Path

from buildkit import ignore_file
from buildkit.instructions import DockerfileError
from buildkit.stages import Dockerfile
from fly import env_vars

_NAME = ".env"
MOST_NAMES = 5


def write(context: Path, variables: dict[str, str], dockerfile: str) -> list[str]:
    """Write the variables to a fresh file; answers what the app's author should know of that."""
    if not variables:
        return []
    _write_afresh(context / _NAME, env_vars.render_dotenv(variables).encode(), mode=0o600)
    names = ", ".join(sorted(variables)[:MOST_NAMES]) + (", …" if len(variables) > MOST_NAMES else "")
    told = [
        f"The variables for the build ({names}) are in {_NAME}, which {name} may keep out: it can't be read."
        for name in ignore_file.NAMES
        if not _let_through(context, name)
    ]
    if not _is_taken(dockerfile):
        told.append(
            f"The variables for the build ({names}) are in {_NAME}, which no COPY of the Dockerfile takes: "
            f"add `COPY {_NAME} ./` before the step that needs them."
        )
    return told


def _is_taken(dockerfile: str) -> bool:
    """Whether some step of the Dockerfile copies the file into the image."""
    try:
        return Dockerfile(dockerfile).takes(_NAME)
    except DockerfileError:
        return True  # there will be no build


def _let_through(context: Path, name: str) -> bool:
    """Have the builder take our .env along, which most apps' ignore files keep out; False when that can't be done.

    The file is made anew, with what it says or its link leads to: an uploaded one may be another's link, hard or soft.
    (https://docs.docker.com/build/concepts/context/#dockerignore-files)
    """
    path = context / name
    if not path.is_symlink() and not path.exists():
        return True
    try:
        target = path.resolve(strict=True)
        if not (target.is_relative_to(context.resolve()) and target.is_file()):
            return False
        said = target.read_bytes()
        path.unlink()
        _write_afresh(path, said + f"\n!{_NAME}\n".encode(), mode=0o644)
    except FileNotFoundError:
        return True  # a link that leads nowhere keeps nothing out
    except (OSError, RuntimeError):
        return False
    return True


def _write_afresh(path: Path, data: bytes, *, mode: int) -> None:
    """Write a file that isn't there yet: nothing uploaded is written through."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(file, "wb") as stream:
        stream.write(data)
