"""Laying out what is built: the unpacked archive, our fly.toml, and what a browser's bundle may know."""

import os
from pathlib import Path

import orjson
from django.conf import settings
from django.core.files.storage import default_storage

from buildkit import ignore_file
from buildkit.instructions import DockerfileError
from buildkit.stages import Dockerfile
from core.crypto import keyring
from deployments import archives, fly_toml, ports
from deployments.archives import Contents
from deployments.models import Build
from deployments.services import archive_storage
from deployments.services.building.lease import BuildAttempt
from deployments.services.building.log_writer import Logbook
from fly import env_vars

_COPY_BYTES = 1 << 20
_ENVIRONMENT = ".env"
_MOST_NAMES = 5


class ArchiveGone(Exception):
    """The archive is no longer in the storage."""


def context_of(folder: Path) -> Path:
    """Where the unpacked archive lies: nothing else is in it."""
    return folder / "context"


def config_of(folder: Path) -> Path:
    """Where our fly.toml lies: outside the archive, so that nothing of it can take its place."""
    return folder / "fly.toml"


def lay_out(attempt: BuildAttempt, logbook: Logbook, folder: Path) -> None:
    """Fill the folder. Raises ArchiveGone, archives.Refused, and what the attempt raises when it has to stop."""
    build = attempt.row
    if build.from_image:
        context_of(folder).mkdir(mode=0o755)
        logbook.write(f"Releasing {build.from_image} again.")
    else:
        attempt.note_step("Unpacking the archive…")
        contents = _unpack(attempt, folder)
        _tell(logbook, contents)
        variables = _variables(build)
        choice = ports.choose(contents.dockerfile, wanted=variables.pop("PORT", ""))
        for sentence in (*choice.told, *_write_environment(context_of(folder), variables, contents.dockerfile)):
            logbook.write(sentence)
        build.internal_port = choice.port
        attempt.update(internal_port=build.internal_port)
    config_of(folder).write_text(_fly_toml(build), encoding="utf-8")


def _fly_toml(build: Build) -> str:
    return fly_toml.render(
        app=build.deployment.fly_app_id,
        region=settings.FLY_REGION,
        port=build.internal_port or ports.DEFAULT_PORT,
        commit=build.commit,
        server_url="" if build.deployment.has_own_server_url else settings.PUBLIC_URL,
    )


def _unpack(attempt: BuildAttempt, folder: Path) -> Contents:
    """Fetch the archive and unpack it. It was checked when it came; it is checked again, since it lay elsewhere."""
    packed = folder / "archive.tar.gz"
    try:
        with default_storage.open(attempt.row.archive) as stored, packed.open("wb") as copy:
            while piece := stored.read(_COPY_BYTES):
                copy.write(piece)
                attempt.require_going()
    except FileNotFoundError as error:
        raise ArchiveGone from error
    try:
        with packed.open("rb") as file:
            return archives.extract(file, context_of(folder), limits=archive_storage.limits())
    finally:
        packed.unlink()


def _tell(logbook: Logbook, contents: Contents) -> None:
    """Say in the log what of the archive is not used, and which files may carry secrets into the image."""
    if contents.has_fly_toml:
        logbook.write("The archive's fly.toml is ignored: this server writes its own.")
    if contents.has_environment_file:
        logbook.write("The archive's .env is left out, since an image must not carry secrets: use envVars.")
    if files := contents.environment_files:
        names = ", ".join(files[:_MOST_NAMES]) + (" and others" if len(files) > _MOST_NAMES else "")
        logbook.write(
            f"The archive holds {names}, for the build to read, so what is in there may end in the image. "
            "Add such a file to .dockerignore if it has secrets, and use envVars for those."
        )


def _variables(build: Build) -> dict[str, str]:
    """What the build may know of the variables that were pushed: those for a browser's bundle, and PORT."""
    if not build.sealed_environment:
        return {}
    values = orjson.loads(keyring().open(bytes(build.sealed_environment), place=build.seal_place))
    return {str(name): str(value) for name, value in values.items()}


def _write_environment(context: Path, variables: dict[str, str], dockerfile: str) -> list[str]:
    """Write what a browser's bundle may know, to a fresh file; gives what its author should know of that."""
    if not variables:
        return []
    _write_afresh(context / _ENVIRONMENT, env_vars.render_dotenv(variables).encode(), mode=0o600)
    names = ", ".join(sorted(variables)[:_MOST_NAMES]) + (", …" if len(variables) > _MOST_NAMES else "")
    told = [
        f"The variables for the build ({names}) are in {_ENVIRONMENT}, which {name} may keep out: it can't be read."
        for name in ignore_file.NAMES
        if not _let_through(context, name)
    ]
    if not _takes_environment(dockerfile):
        told.append(
            f"The variables for the build ({names}) are in {_ENVIRONMENT}, which no COPY of the Dockerfile takes: "
            f"add `COPY {_ENVIRONMENT} ./` before the step that needs them."
        )
    return told


def _takes_environment(dockerfile: str) -> bool:
    try:
        return Dockerfile(dockerfile).takes(_ENVIRONMENT)
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
        _write_afresh(path, said + f"\n!{_ENVIRONMENT}\n".encode(), mode=0o644)
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
