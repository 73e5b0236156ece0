"""Taking in what is pushed: archive, environment, and then, in one moment, the right to be built.

The build's row comes first, so that whatever a crash leaves behind can be found. Until it is accepted no worker
takes it; what never was is ended by `sweep_unaccepted`.
"""

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import IO

import orjson
from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import DatabaseError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts import audit
from accounts.principals import Principal
from accounts.services import access
from core.errors import ApplicationError, Conflict, Unavailable
from core.fields import Sealed, seal
from core.rate_limits import RateLimit
from deployments.fly_toml import SERVER_URL
from deployments.models import Build, BuildLogChunk, Deployment
from deployments.services import archive_check, archive_storage, builds, preparation, queue
from deployments.services.access import NoSuchApp, own_app, require_an_app
from fly.clients.machines_api import Fly, UnknownApp
from fly.env_vars import Environment, split

logger = logging.getLogger(__name__)

State = Build.State
PUSHES = RateLimit("pushes", "10/minute")
# Storing an archive and telling Fly the secrets takes a minute at most; the process that was at it is gone.
_LEFT_BEHIND_AFTER = timedelta(minutes=10)
_AT_ONCE = 100
_LEFT_BEHIND = "The push was interrupted on our side before the build could begin. Push again."
_CRASHED = "Something went wrong on our side while the push was taken in. Push again."


class StorageFailed(Unavailable):
    """503: the archive could not be stored."""

    default = "The archive can't be stored right now. Push again in a moment."


class OutOfReach(Unavailable):
    """503: what is stored here never reaches a worker."""

    default = (
        "This server keeps archives in a folder, which its workers on Fly can't see, so nothing can be built. "
        "Its operator has to set S3_BUCKET."
    )


class NotYetAtFly(Unavailable):
    """503: Fly doesn't show the app, though it was prepared."""

    default = "Fly doesn't show this app yet. Push again in a minute."


class TookTooLong(Unavailable):
    """503: the push was given up before it could be accepted."""

    default = "The push took too long. Push again."


class PushCanceled(Conflict):
    """409: somebody canceled the push while it was taken in."""

    default = "This push was canceled."


@dataclass(frozen=True, slots=True)
class Push:
    """What somebody sends: `archive` is a file on disk, at its beginning; without `variables` none change."""

    archive: IO[bytes] = field(repr=False)
    variables: Mapping[str, str] | None = field(default=None, repr=False)
    commit: str = ""
    # What was left out of it; the build's log begins with that.
    warning: str = ""


def require_welcome(*, caller: Principal, app_name: str = "") -> None:
    """Return if a push may begin to come: to this app or, while its name isn't known, to any of the caller's.

    Raises what `require_pushable` does, and TooManyRequests. Counts nothing.
    """
    PUSHES.require_left(str(caller.id))
    if app_name:
        require_pushable(caller=caller, app_name=app_name)
        return
    _require_possible()
    require_an_app(person=caller)


def require_pushable(*, caller: Principal, app_name: str) -> Deployment:
    """The caller's app, when something may be pushed to it now.

    Raises NoSuchApp, BuildRunning, BuildStopping, FlyNotConfigured or OutOfReach.
    """
    _require_possible()
    app = own_app(person=caller, app_name=app_name, action="deployments.push")
    builds.require_idle(app)
    return app


def count(*, caller: Principal) -> None:
    """Count a push of the caller's, once for each, before its archive is read. Raises TooManyRequests."""
    PUSHES.spend(str(caller.id))


def receive(*, caller: Principal, app_name: str, push: Push, now: datetime) -> Build:
    """Take in a push that was counted; its build waits for a worker.

    Raises what `require_pushable` does, InvalidEnvironment, archives.Refused or TooLarge, archive_check.Busy,
    StorageFailed, NotYetAtFly, PushCanceled, AccessEnded and the Fly client's errors. After any of them nothing will
    be built; what Fly has been told of secrets by then stays so until the next push.
    """
    app = require_pushable(caller=caller, app_name=app_name)
    environment = split(push.variables or {}, build_prefixes=settings.BUILD_ENVIRONMENT_PREFIXES)
    archive_check.check(push.archive, person=caller.id)
    build = _begun(caller, app, push, now=now)
    try:
        _store(build, push.archive)
        app = preparation.finish(deployment_id=app.pk, now=now)
        _tell_fly(build, app, environment)
        _accept(caller, build, environment, warning=push.warning)
    except Exception as error:
        _give_up(build, error.sentence if isinstance(error, ApplicationError) else _CRASHED)
        raise
    return build


def sweep_unaccepted(*, now: datetime | None = None) -> None:
    """End pushes whose process went away while it took them in. Can be repeated."""
    before = (now or timezone.now()) - _LEFT_BEHIND_AFTER
    left = Build.objects.filter(state=State.QUEUED, accepted_at=None, finished_at=None, created_at__lt=before)
    for build in left.select_related("deployment", "pushed_by")[:_AT_ONCE]:
        _end(build, State.INTERRUPTED, _LEFT_BEHIND)


def _require_possible() -> None:
    """Return if this server can build anything."""
    Fly.from_settings()
    if not archive_storage.reach_the_workers():
        raise OutOfReach


def _begun(caller: Principal, app: Deployment, push: Push, *, now: datetime) -> Build:
    """The row of the build, which names the archive before there is one. Raises NoSuchApp for an app on its way out."""
    build_id = uuid.uuid4()
    with transaction.atomic():
        # Held, so that whoever removes the app finds this build, too.
        staying = Deployment.objects.filter(pk=app.pk).exclude(state=Deployment.State.DESTROYING)
        if not staying.select_for_update(no_key=True):
            raise NoSuchApp
        return Build.objects.create(
            id=build_id,
            deployment=app,
            organization_id=app.organization_id,
            pushed_by_id=caller.id,
            commit=push.commit,
            archive=f"builds/{build_id}.tar.gz",
            archive_bytes=push.archive.seek(0, 2),
            created_at=now,
        )


def _store(build: Build, archive: IO[bytes]) -> None:
    archive.seek(0)
    try:
        saved = default_storage.save(build.archive, File(archive))
    except Exception as error:  # whatever the storage's client raises
        logger.exception("the archive of build %s can't be stored", build.pk)
        raise StorageFailed from error
    if saved != build.archive:
        # Nobody would ever find it again; names are random, so this is a storage that changes them.
        default_storage.delete(saved)
        logger.error("the storage has renamed %s to %s", build.archive, saved)
        raise StorageFailed


def _tell_fly(build: Build, app: Deployment, environment: Environment) -> None:
    """Set the secrets, all in one call, and note their version, which counts whatever becomes of this push."""
    if not environment.secrets:
        return
    try:
        version = Fly.from_settings().set_secrets(app.fly_app_id, environment.secrets)
    except UnknownApp as error:
        raise NotYetAtFly from error
    Build.objects.filter(pk=build.pk).update(secrets_version=version)
    if SERVER_URL in environment.secrets:
        Deployment.objects.filter(pk=app.pk).update(has_own_server_url=True)


def _accept(caller: Principal, build: Build, environment: Environment, *, warning: str) -> None:
    """Queue the build for a worker in place of older ones that wait.

    Raises BuildRunning, BuildStopping, NoSuchApp, PushCanceled, TookTooLong or AccessEnded.
    """
    with transaction.atomic():
        access.hold(caller)
        # Pushes at once pass here one after the other.
        app = Deployment.objects.select_for_update(no_key=True).filter(pk=build.deployment_id).first()
        if app is None or app.state == Deployment.State.DESTROYING:
            raise NoSuchApp
        now = builds.acceptance(app, now=timezone.now())
        builds.supersede(deployment=app, actor=caller, now=now)
        # After that: what a worker has taken meanwhile runs.
        builds.require_idle(app)
        if not _unaccepted(build).update(
            accepted_at=now,
            secrets_version=builds.secrets_version(app),
            sealed_environment=_sealed(build, environment),
        ):
            canceled = Build.objects.filter(pk=build.pk, state=State.CANCELED).exists()
            raise PushCanceled if canceled else TookTooLong
        if warning:
            text = f"{warning}\n"
            BuildLogChunk.objects.create(build=build, start=0, text=text)
            Build.objects.filter(pk=build.pk).update(log_length=len(text))
        _record("build.pushed", build, caller, commit=build.commit, bytes=build.archive_bytes)
        queue.enqueue(build.pk)


def _sealed(build: Build, environment: Environment) -> Sealed | None:
    """What the build has to know, for nobody else's eyes; None for nothing."""
    known = {**environment.build_time, **({"PORT": environment.port} if environment.port else {})}
    return seal(build, "sealed_environment", orjson.dumps(known)) if known else None


def _give_up(build: Build, sentence: str) -> None:
    """End a build that isn't accepted; when the database is away, the sweep does."""
    try:
        _end(build, State.FAILED, sentence)
    except DatabaseError:
        logger.warning("build %s is left to the sweep", build.pk)


def _end(build: Build, state: Build.State, sentence: str) -> None:
    """End a build that isn't accepted; one that is, is none of ours any more."""
    with transaction.atomic():
        if not _unaccepted(build).update(state=state, error=sentence, finished_at=timezone.now()):
            return
        _record(f"build.{state}", build, build.pushed_by, error=sentence)
    _remove_archive(build)


def _unaccepted(build: Build) -> QuerySet[Build]:
    return Build.objects.filter(pk=build.pk, state=State.QUEUED, accepted_at=None, finished_at=None)


def _remove_archive(build: Build) -> None:
    """Remove the archive; where that fails now, the workers' sweep does it by the name that stays in the row."""
    try:
        archive_storage.remove(build.archive)
    except Exception:
        logger.exception("the archive of build %s can't be removed yet", build.pk)
        return
    Build.objects.filter(pk=build.pk).update(archive="")


def _record(action: str, build: Build, actor: audit.Actor | None, **details: str | int) -> None:
    audit.record(
        action,
        actor=actor,
        target=build,
        details={"app": build.deployment.app_name, **details},
    )
