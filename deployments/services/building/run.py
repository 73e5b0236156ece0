"""A build from the archive to an app that answers: take, unpack, deploy, record the release, confirm, end, tidy.

The file reads in that order. Whatever is done at Fly can be done again: another worker starts from the archive, or,
once Fly runs the new image, from asking whether the app answers.
"""

import logging
import time
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.core.files.storage import default_storage
from django.db.models import F
from django.utils import timezone

from core.database import DATABASE_AWAY
from core.errors import ApplicationError, Unavailable, UpstreamFailed, UpstreamTimeout
from core.leases import HandedOver, LeaseLost
from deployments import archives, fly_toml, ports
from deployments.archives import Contents
from deployments.models import Build, Deployment
from deployments.models.builds import tag_of
from deployments.services import archive_storage, preparation, queue
from deployments.services.building import dotenv, readiness
from deployments.services.building.build_dir import build_dir
from deployments.services.building.lease import BuildLease, Canceled, take_in_turn
from deployments.services.building.log_writer import LogWriter
from deployments.services.cancellation import CANCELED
from fly.clients import flyctl
from fly.clients.flyctl import FlyctlMissing, Limits, Order, Outcome, StopReason
from fly.clients.flyctl.error_messages import LEASE_HELD, is_for_operators
from fly.clients.flyctl.progress import StepReader
from fly.clients.machines_api import Fly, UnknownApp
from fly.clients.machines_api.types import Machine

logger = logging.getLogger(__name__)

_CRASHED = "Something went wrong on our side. Push again; if it fails again, tell an operator of this server."
_ARCHIVE_GONE = "The uploaded archive is gone, so the build can't go on. Push again."
_INTERRUPTED = "The build was interrupted several times because its worker went away. Push again."
_CONFIRMING = "Waiting for the app to answer…"
_OVERTAKEN = "Canceling came too late: Fly runs the new image already."
_RUNS_ALL_THE_SAME = "Fly has this version's image all the same. To go back, deploy an earlier build again."
_UNKNOWN = "Fly can't be asked right now whether it runs this version; operators are told if it does."
_NO_FLYCTL = "This server can't build: its worker has no flyctl. Tell an operator of this server."
_COPY_BYTES = 1 << 20
# Longer than a build may take, since flyctl asks Fly to the very end.
_TOKEN_LASTS_LONGER = timedelta(minutes=15)
_LONGEST_FLY_LEASE_SECONDS, _FLY_LEASE_PAUSE_SECONDS = 330.0, 15.0
_TRIES, _PAUSE_SECONDS = 3, 1.0
_GONE = frozenset({"destroying", "destroyed", "replaced", "migrated", "launch_failed"})
_MOST_NUDGES = 20
State = Build.State


class BuildFailed(Exception):
    """The build comes to a bad end; `sentence` is for the person who pushed."""

    def __init__(self, sentence: str, *, state: Build.State = State.FAILED) -> None:
        self.sentence, self.state = sentence, state
        super().__init__(sentence)


def run_build(build_id: uuid.UUID) -> None:
    """Work on the build, or on the one whose turn it is, until it is over or this worker has to let go of it.

    Does nothing when none is to be had now.
    """
    lease = take_in_turn(build_id)
    if lease is None:
        tidy(build_id)
        return
    logger.info("build %s: attempt %s", lease.row.pk, lease.row.attempt)
    with lease.heartbeating():
        _carry_out(lease)
    tidy(lease.row.pk)


def _carry_out(lease: BuildLease) -> None:
    """Take all steps, and turn whatever happens into the build's end."""
    log = LogWriter(lease)
    try:
        try:
            _take_steps(lease, log)
        finally:
            log.flush()
    except LeaseLost:
        logger.warning("build %s: attempt %s was cut off", lease.row.pk, lease.row.attempt)
    except HandedOver:
        # Nothing went wrong, so a server that is deployed on and on wears no build out.
        _hand_over(lease, hand_overs=F("hand_overs") + 1)
    except DATABASE_AWAY as error:
        # Not the build's fault: another attempt, of the few there are.
        logger.warning("build %s: the database went away: %s", lease.row.pk, type(error).__name__)
        _hand_over(lease)
    except Canceled:
        _end(lease, State.CANCELED, CANCELED)
    except Exception as error:  # noqa: BLE001 - what isn't known is logged with its traceback
        _fail(lease, log, error)


def _take_steps(lease: BuildLease, log: LogWriter) -> None:
    build = lease.row
    if lease.is_worn_out:
        raise BuildFailed(_INTERRUPTED, state=State.INTERRUPTED)
    if build.attempt > 1:
        log.write(f"The worker of this build went away; this is attempt {build.attempt}.")
    if build.state != State.RELEASED:
        try:
            with build_dir(build.pk, build.attempt) as folder:
                _unpack(lease, log, folder)
                image = _deploy(lease, log, folder)
                log.flush()
                lease.note_released(image=image)
        except Canceled:
            # Taking a change back is nothing that flyctl does.
            found = _image_that_runs(build)
            if not found:
                if found is None:
                    log.write(_UNKNOWN)
                raise
            lease.note_released(image=found)
    _confirm(lease, log)


# 1. Unpack


def _context(folder: Path) -> Path:
    """Where the unpacked archive lies: nothing else is in it."""
    return folder / "context"


def _config(folder: Path) -> Path:
    """Where our fly.toml lies: outside the archive, so that nothing of it can take its place."""
    return folder / "fly.toml"


def _unpack(lease: BuildLease, log: LogWriter, folder: Path) -> None:
    """Lay out what is built: the unpacked archive, what a browser's bundle may know, and our fly.toml.

    Raises BuildFailed, archives.Refused, what the app's preparation raises, and what the lease raises to stop.
    """
    lease.note_step("Preparing the build…")
    build = lease.row
    build.deployment = lease.retry(lambda: preparation.finish(deployment_id=build.deployment_id, now=timezone.now()))
    lease.require_going()
    if build.from_image:
        _context(folder).mkdir(mode=0o755)
        told = [f"Releasing {build.from_image} again."]
    else:
        lease.note_step("Unpacking the archive…")
        contents = _extract(lease, folder)
        variables = _bundle_variables(build)
        choice = ports.choose(contents.dockerfile, wanted=variables.pop("PORT", ""))
        told = [*_told_of(contents), *choice.told]
        told += dotenv.write(_context(folder), variables, contents.dockerfile)
        lease.record(internal_port=choice.port)
    for sentence in told:
        log.write(sentence)
    text = fly_toml.render(
        app=build.deployment.fly_app_id,
        region=settings.FLY_REGION,
        port=build.internal_port or ports.DEFAULT_PORT,
        commit=build.commit,
        server_url="" if build.deployment.has_own_server_url else settings.PUBLIC_URL,
    )
    _config(folder).write_text(text, encoding="utf-8")
    lease.require_going()


def _extract(lease: BuildLease, folder: Path) -> Contents:
    """Fetch the archive and unpack it. It was checked when it came; it is checked again, since it lay elsewhere."""
    packed = folder / "archive.tar.gz"
    try:
        with default_storage.open(lease.row.archive) as stored, packed.open("wb") as copy:
            while piece := stored.read(_COPY_BYTES):
                copy.write(piece)
                lease.require_going()
    except FileNotFoundError as error:
        raise BuildFailed(_ARCHIVE_GONE, state=State.INTERRUPTED) from error
    try:
        with packed.open("rb") as file:
            return archives.extract(file, _context(folder), limits=archive_storage.limits())
    finally:
        packed.unlink()


def _bundle_variables(build: Build) -> dict[str, str]:
    """What the build may know of the variables that were pushed: those for a browser's bundle, and PORT."""
    if not build.sealed_environment:
        return {}
    values = orjson.loads(build.sealed_environment.open())
    return {str(name): str(value) for name, value in values.items()}


def _told_of(contents: Contents) -> list[str]:
    """What of the archive is not used, and which files may carry secrets into the image, for the log."""
    told = []
    if contents.has_fly_toml:
        told.append("The archive's fly.toml is ignored: this server writes its own.")
    if contents.has_environment_file:
        told.append("The archive's .env is left out, since an image must not carry secrets: use envVars.")
    if files := contents.environment_files:
        most = dotenv.MOST_NAMES
        names = ", ".join(files[:most]) + (" and others" if len(files) > most else "")
        told.append(
            f"The archive holds {names}, for the build to read, so what is in there may end in the image. "
            "Add such a file to .dockerignore if it has secrets, and use envVars for those."
        )
    return told


# 2. Deploy


def _deploy(lease: BuildLease, log: LogWriter, folder: Path) -> str:
    """Have flyctl build what lies in the folder and bring it to Fly; answers the image's reference.

    A deployment that died may hold its lease on a machine for up to five minutes: this one waits for it.
    Raises BuildFailed, FlyctlMissing, Canceled, LeaseLost or HandedOver.
    """
    order = _order(lease, folder)
    until = time.monotonic() + _LONGEST_FLY_LEASE_SECONDS
    while True:
        outcome = _run_flyctl(lease, log, order)
        # What was not asked for may also be done: a deployment that ended well before it could be stopped has.
        if outcome.succeeded:
            return outcome.image or lease.row.from_image
        if outcome.stopped in {StopReason.CUT_OFF, StopReason.CANCELED}:
            lease.require_going()
            raise LeaseLost if outcome.stopped == StopReason.CUT_OFF else Canceled
        if outcome.failure == LEASE_HELD and time.monotonic() <= until:
            log.note_step("Waiting for an interrupted deployment to let go of the app…")
            log.flush()
            lease.wait(_FLY_LEASE_PAUSE_SECONDS)
        else:
            raise BuildFailed(_why_it_failed(outcome))


def _order(lease: BuildLease, folder: Path) -> Order:
    build = lease.row
    app = build.deployment.fly_app_id
    lasts = timedelta(minutes=settings.BUILD_MINUTES) + _TOKEN_LASTS_LONGER
    token = lease.retry(lambda: Fly.from_settings().deploy_token(app, expiry=lasts))
    return Order(
        app=app,
        folder=folder,
        context=_context(folder),
        config=_config(folder),
        deploy_token=token,
        label=build.tag,
        image=build.from_image or None,
        secrets_version=build.secrets_version,
    )


def _run_flyctl(lease: BuildLease, log: LogWriter, order: Order) -> Outcome:
    """Run flyctl once, and stop it when this worker has to stop."""
    limits = Limits(total=settings.BUILD_MINUTES * 60, silence=settings.BUILD_SILENCE_MINUTES * 60)
    steps, folder = StepReader(), str(order.folder)

    def on_line(line: str) -> None:
        # Where it lies on this machine is nobody's business.
        log.write(line.replace(folder, ""))
        log.note_step(steps.step)

    def should_stop() -> StopReason | None:
        log.flush_if_due()
        try:
            lease.require_going()
        except Canceled:
            return StopReason.CANCELED
        except (LeaseLost, HandedOver):
            return StopReason.CUT_OFF
        return None

    outcome = flyctl.run(order, on_line=on_line, should_stop=should_stop, limits=limits, reader=steps)
    if is_for_operators(outcome.failure):
        logger.warning("build %s: flyctl said: %s", lease.row.pk, steps.error.replace(folder, ""))
    return outcome


def _why_it_failed(outcome: Outcome) -> str:
    """Why it failed, for the person who pushed."""
    if outcome.stopped == StopReason.SILENT:
        return (
            f"The build was ended since it said nothing for {settings.BUILD_SILENCE_MINUTES} minutes. "
            "Let it print its progress, and push again."
        )
    if outcome.stopped == StopReason.TOO_LONG:
        return (
            f"The build was ended since it took more than {settings.BUILD_MINUTES} minutes. "
            "Make it shorter, and push again."
        )
    return outcome.failure or "The build failed; its log says why."


# 3. Record the release, which `lease.note_released` does: but for what ended badly, does Fly run it all the same?


def _image_that_runs(build: Build) -> str | None:
    """The build's image if it has come to the app's machine, "" if not; None when Fly can't be asked.

    flyctl that is interrupted while it updates a machine takes nothing back, and neither does one that waits in vain
    for the app's health. So Fly is asked before anything is said of a build that was canceled, or that failed. An image
    that ran before the build is not its doing.
    """
    deployment = Deployment.objects.filter(pk=build.deployment_id).first()
    if deployment is None or deployment.state != Deployment.State.READY:
        return ""
    wanted = tag_of(build.from_image) or build.tag
    before = deployment.builds.exclude(released_at=None).order_by("-released_at", "-pk").values_list("image", flat=True)
    if wanted == tag_of(before.first() or ""):
        return ""
    try:
        machines = _machines(deployment.fly_app_id)
    except UnknownApp:
        return ""
    except ApplicationError as error:
        logger.warning("build %s: Fly can't be asked what it runs: %s", build.pk, type(error).__name__)
        return None
    # What a machine that flyctl looks after runs, or will run as soon as it is replaced.
    managed = (machine for machine in machines if machine.state not in _GONE and machine.process_group)
    images = (image for machine in managed for image in (machine.config.image, machine.image))
    return next((image for image in images if tag_of(image) == wanted), "")


def _machines(app: str) -> tuple[Machine, ...]:
    fly = Fly.from_settings()
    for _ in range(_TRIES - 1):
        try:
            return fly.list_machines(app)
        except (UpstreamFailed, UpstreamTimeout, Unavailable):
            time.sleep(_PAUSE_SECONDS)
    return fly.list_machines(app)


# 4. Confirm


def _confirm(lease: BuildLease, log: LogWriter) -> None:
    """Wait until the app answers, and end the build. One that doesn't answer keeps its release: Fly does run it."""
    url = lease.row.deployment.url
    if lease.was_overtaken:
        log.write(_OVERTAKEN)
    log.note_step(f"{_OVERTAKEN} {_CONFIRMING}" if lease.was_overtaken else _CONFIRMING)
    log.flush()
    it_answers = readiness.wait_until_answering(url, pause=lease.wait)
    log.write(
        f"The app answers at {url}" if it_answers
        else f"The app is released, but nothing answers at {url} yet. Its own logs may say why."
    )  # fmt: skip
    log.flush()
    lease.finish(State.LIVE if it_answers else State.RELEASED)


# 5. End


def _hand_over(lease: BuildLease, **values: Any) -> None:
    """Let another worker take the build at once: this one is stopping."""
    try:
        lease.hand_over(**values)
        queue.enqueue(lease.row.pk)
    except LeaseLost:
        logger.warning("build %s: somebody else has it already", lease.row.pk)


def _fail(lease: BuildLease, log: LogWriter, error: Exception) -> None:
    """End it because of the error; Fly may have its image all the same, which the app's pages have to show then."""
    state, sentence = _verdict(lease, error)
    image = "" if lease.row.state == State.RELEASED else _image_that_runs(lease.row)
    try:
        if image != "":
            log.write(_UNKNOWN if image is None else _RUNS_ALL_THE_SAME)
            log.flush()
    except (LeaseLost, *DATABASE_AWAY):
        logger.warning("build %s: its log ends early", lease.row.pk)
    _end(lease, state, sentence, image=image or "")


def _verdict(lease: BuildLease, error: Exception) -> tuple[Build.State, str]:
    """How the build ends after this error, and the sentence for the person."""
    match error:
        case BuildFailed():
            return error.state, error.sentence
        case FlyctlMissing():
            logger.error("build %s: no flyctl", lease.row.pk, exc_info=error)
            return State.FAILED, _NO_FLYCTL
        case ApplicationError():
            return State.FAILED, error.sentence
    logger.error("build %s crashed", lease.row.pk, exc_info=error)
    return State.FAILED, _CRASHED


def _end(lease: BuildLease, state: Build.State, sentence: str, *, image: str = "") -> None:
    try:
        lease.give_up(state, sentence, image=image)
    except LeaseLost:
        logger.warning("build %s: somebody else has it, so its end is theirs", lease.row.pk)


# 6. Tidy


def tidy(build_id: uuid.UUID) -> None:
    """Remove the archive of a build that is over, and let those go on that waited for it. Can be repeated."""
    build = Build.objects.filter(pk=build_id).exclude(finished_at=None).first()
    if build is None:
        return
    forget_archive(build)
    waiting = Build.objects.waiting().filter(organization=build.organization_id).order_by("created_at", "pk")
    for other in waiting.values_list("pk", flat=True)[:_MOST_NUDGES]:
        queue.enqueue(other)


def forget_archive(build: Build) -> None:
    """Remove the archive from the storage, then its name: until then the sweep tries again."""
    if build.archive:
        archive_storage.remove(build.archive)
        Build.objects.filter(pk=build.pk).update(archive="")
