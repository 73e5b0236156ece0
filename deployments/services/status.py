"""How an app is, for somebody who waits for it: from our own rows alone, since the workers note what Fly says."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from accounts.principals import Principal
from core.database import fetch_row
from core.leases import TAKEOVER_AFTER
from deployments.models import Build, Deployment
from deployments.models.builds import LATEST_FIRST_SQL
from deployments.services.machine_states import GONE
from deployments.services.queue import NO_WORKER, end_if_stalled
from fly.models import url_of

Word = Literal["not_found", "idle", "queued", "building", "build_error", "starting", "running"]

# One statement by hand: a client asks every few seconds for as long as its build takes.
_FIND = f"""
SELECT d.fly_app_id, d.state, b.state, b.commit, b.step, b.error,
       b.accepted_at, b.started_at, b.released_at, b.cancel_requested_at, b.finished_at, b.heartbeat_at, b.id,
       d.machine_state, d.machine_state_at
  FROM deployments_deployment d
  JOIN accounts_organization o ON o.id = d.organization_id
  LEFT JOIN LATERAL (
       SELECT state, commit, step, error, accepted_at, started_at, released_at, cancel_requested_at, finished_at,
              heartbeat_at, id
         FROM deployments_build
        WHERE deployment_id = d.id
        ORDER BY {LATEST_FIRST_SQL}
        LIMIT 1) b ON true
 WHERE d.owner_id = %s AND d.organization_id = %s AND lower(d.app_name) = lower(%s::text) AND o.suspended_at IS NULL
"""  # noqa: S608 - the order is a constant
# Another worker takes over after that, when there is one.
_HEARTBEAT_COUNTS_FOR = 2 * TAKEOVER_AFTER
# What is older says nothing: the workers read the states every minute.
_STATE_COUNTS_FOR = timedelta(minutes=10)
_BROKEN = "The app has stopped by itself. Look at its logs, and push again."
_ASLEEP = "The app is stopped. It starts as soon as somebody opens its address."
_COMING = "The app's machine is starting…"
_AT_REST = {
    "stopped": _ASLEEP,
    "stopping": _ASLEEP,
    "suspended": _ASLEEP,
    "suspending": _ASLEEP,
    "failed": _BROKEN,
    "launch_failed": _BROKEN,
    GONE: "Fly has no machine of this app any more. Push again.",
    "created": _COMING,
    "starting": _COMING,
    "restarting": _COMING,
}
RECEIVING = "Receiving the archive…"
WAITING = "Waiting for a worker…"
BEGINNING = "Preparing the build…"
STARTING = "Waiting for the app to answer…"
CANCELING = "Canceling…"
SILENT = "The app is released, but it doesn't answer yet. Look at its logs."
FAILED = "The build failed. Look at its log."


@dataclass(frozen=True, slots=True)
class Status:
    """`message` is the current step for a person, `error` what went wrong; None where there is none."""

    status: Word
    url: str | None = None
    commit: str | None = None
    message: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class _Latest:
    """What is read of the latest build."""

    state: str
    commit: str
    step: str
    error: str
    accepted_at: datetime | None
    started_at: datetime | None
    released_at: datetime | None
    cancel_requested_at: datetime | None
    finished_at: datetime | None
    heartbeat_at: datetime | None
    pk: uuid.UUID


def status_of(*, caller: Principal, app_name: str, now: datetime) -> Status:
    """How the caller's app is. One query, and more only where a build has waited for minutes.

    It is `not_found` also when it is another's, is being destroyed, or belongs to a suspended organization.
    """
    row = fetch_row(_FIND, [caller.id, caller.organization_id, app_name])
    if row is None or row[1] == Deployment.State.DESTROYING:
        return Status("not_found")
    url = url_of(row[0])
    if row[2] is None:
        return Status("idle", url)
    latest = _Latest(*row[2:13])
    if end_if_stalled(build_id=latest.pk, state=latest.state, accepted_at=latest.accepted_at, now=now):
        return Status("build_error", url, latest.commit or None, error=NO_WORKER)
    told = _about_machine(*row[13:], since=latest.finished_at, now=now) if latest.state == Build.State.LIVE else None
    return Status("starting", url, latest.commit or None, message=told) if told else _of_build(url, latest, now)


def _about_machine(state: str, at: datetime | None, *, since: datetime | None, now: datetime) -> str | None:
    """Why a live app does not run at the moment, by what is known of its machine since; None where it does."""
    if at is None or now - at > _STATE_COUNTS_FOR or (since is not None and at < since):
        return None
    return _AT_REST.get(state)


def _of_build(url: str, build: _Latest, now: datetime) -> Status:
    word, message = _word_and_message(build)
    failed = word == "build_error"
    return Status(
        word,
        url,
        build.commit or None,
        message=None if failed or not message else message + _so_far(build, now),
        error=(build.error or FAILED) if failed else None,
    )


def _word_and_message(build: _Latest | Build) -> tuple[Word, str | None]:
    match build.state:
        case Build.State.LIVE:
            return "running", None
        case Build.State.QUEUED:
            return "queued", (build.step or WAITING) if build.accepted_at else RECEIVING
        case Build.State.BUILDING:
            return "building", CANCELING if build.cancel_requested_at else build.step or BEGINNING
        case Build.State.RELEASED if build.finished_at:
            return "starting", SILENT
        case Build.State.RELEASED:
            return "starting", CANCELING if build.cancel_requested_at else build.step or STARTING
        case _:
            return "build_error", None


def _so_far(build: _Latest | Build, now: datetime) -> str:
    """How long what is being done takes already, such as " (4 min)"; "" for the first minute, and for what is over.

    Some steps take long, and the command-line tool gives up when nothing changes for three minutes. So it does where
    the worker is gone: without its heartbeat the minutes stand still.
    """
    since = build.released_at or build.started_at or build.accepted_at
    is_taken = build.state != Build.State.QUEUED and build.heartbeat_at is not None
    until = min(now, build.heartbeat_at + _HEARTBEAT_COUNTS_FOR) if is_taken and build.heartbeat_at else now
    minutes = (until - since) // timedelta(minutes=1) if since and not build.finished_at else 0
    return f" ({minutes} min)" if minutes > 0 else ""


def message_of(build: Build, *, now: datetime) -> str:
    """Give the status sentence of any build, for its page; "" where its state says all."""
    message = _word_and_message(build)[1]
    return message + _so_far(build, now) if message else ""
