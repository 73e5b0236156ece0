"""Laying out what is built: the unpacked archive, our fly.toml, and what a browser's bundle may know."""

import os
from pathlib import Path

import orjson
from django.conf import settings
from django.core.files.storage import default_storage

from config.core.crypto import keyring
from deployments import archives, environment, flytoml
from deployments.archives import Contents
from deployments.models import Build
from deployments.services import stored_archives
from deployments.services.building.attempts import BuildAttempt
from deployments.services.building.logbook import Logbook

_COPY_BYTES = 1 << 20
_ENVIRONMENT = ".env"
_IGNORE_FILES = (".dockerignore", "Dockerfile.dockerignore")


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
        _write_environment(build, context_of(folder) / _ENVIRONMENT)
        build.internal_port = flytoml.port_of(contents.dockerfile)
        attempt.update(internal_port=build.internal_port)
    config_of(folder).write_text(_fly_toml(build), encoding="utf-8")


def _fly_toml(build: Build) -> str:
    return flytoml.render(
        app=build.deployment.fly_app_id,
        region=settings.FLY_REGION,
        port=build.internal_port or flytoml.DEFAULT_PORT,
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
            return archives.extract(file, context_of(folder), limits=stored_archives.limits())
    finally:
        packed.unlink()


def _tell(logbook: Logbook, contents: Contents) -> None:
    """Say in the log what of the archive is not used."""
    if contents.has_fly_toml:
        logbook.write("The archive's fly.toml is ignored: this server writes its own.")
    if contents.has_environment_file:
        logbook.write("The archive's .env is left out, since an image must not carry secrets: use envVars.")


def _write_environment(build: Build, path: Path) -> None:
    """Write what a browser's bundle may know, to a fresh file: nothing uploaded is written through."""
    if not build.sealed_environment:
        return
    values = orjson.loads(keyring().open(bytes(build.sealed_environment), place=build.seal_place))
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as stream:
        stream.write(environment.render_dotenv(values))
    for name in _IGNORE_FILES:
        _let_through(path.with_name(name))


def _let_through(ignore_file: Path) -> None:
    """Have the builder take our .env along: most apps keep theirs out.

    (https://docs.docker.com/build/concepts/context/#dockerignore-files)
    """
    try:
        file = os.open(ignore_file, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
    except OSError:
        return  # there is none, or it is a link, whose target isn't to be changed
    with os.fdopen(file, "w", encoding="utf-8") as stream:
        stream.write(f"\n!{_ENVIRONMENT}\n")
