"""Apps and builds in every state, made without Fly and without workers."""

from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from accounts.models import User
from deployments.models import Build, BuildLogChunk, Deployment
from fly.models import Discrepancy, FlyApp
from fly.names import new_fly_name

State = Build.State
IMAGE = "registry.fly.io/crayon-0000000000000000:deployment-1"
_STARTED = {State.BUILDING, State.RELEASED, State.LIVE, State.FAILED, State.INTERRUPTED}
_RELEASED = {State.RELEASED, State.LIVE}
_OVER = {State.LIVE, State.FAILED, State.CANCELED, State.INTERRUPTED}


def make_deployment(user: User, app_name: str = "shop", **fields: Any) -> Deployment:
    """An app of the person's that is ready at Fly."""
    now = timezone.now()
    name = fields.pop("fly_name", None) or new_fly_name()
    fly_app = FlyApp.objects.create(name=name, network=name, state=FlyApp.State.READY, created_at=now, ready_at=now)
    defaults: dict[str, Any] = {
        "owner": user,
        "organization": user.personal_organization,
        "app_name": app_name,
        "fly_app": fly_app,
        "state": Deployment.State.READY,
        "created_at": now,
    }
    return Deployment.objects.create(**{**defaults, **fields})


def make_build(deployment: Deployment, *, state: str = State.QUEUED, log: str = "", **fields: Any) -> Build:
    """A build with the times that its state implies; `created_at` moves all of them."""
    at: datetime = fields.pop("created_at", None) or timezone.now()
    defaults: dict[str, Any] = {
        "deployment": deployment,
        "organization": deployment.organization,
        "pushed_by": deployment.owner,
        "state": state,
        "created_at": at,
        "accepted_at": at,
    }
    if state in _STARTED:
        defaults |= {"started_at": at + timedelta(seconds=1), "heartbeat_at": timezone.now(), "attempt": 1}
    if state in _RELEASED:
        defaults |= {"released_at": at + timedelta(seconds=61), "image": IMAGE}
    if state in _OVER:
        defaults["finished_at"] = at + timedelta(seconds=73)
    build = Build.objects.create(**{**defaults, **fields})
    append_log(build, log)
    return build


def append_log(build: Build, text: str, *, chunk: int = 64_000) -> None:
    """Add to the build's log, in chunks of so many characters."""
    for begin in range(0, len(text), chunk):
        piece = text[begin : begin + chunk]
        BuildLogChunk.objects.create(build=build, start=build.log_length, text=piece)
        build.log_length += len(piece)
    build.save(update_fields=["log_length"])


def make_discrepancy(fly_name: str = "crayon-00000000000000ff", kind: str = Discrepancy.Kind.STRANGER) -> Discrepancy:
    """Something that differs between Fly and us."""
    now = timezone.now()
    return Discrepancy.objects.create(
        kind=kind, fly_name=fly_name, sentence="Nobody here knows it.", first_seen_at=now, last_seen_at=now
    )


def make_worker(*, ago: timedelta = timedelta()) -> None:
    """A worker whose last heartbeat was so long ago, by the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - %s)", [ago])


def make_sign_of_life(*, ago: timedelta) -> None:
    """What a worker leaves that did what was due then and has ended since."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_periodic_defers (task_name, periodic_id, defer_timestamp)"
            " VALUES ('deployments.sweep', '', extract(epoch FROM now() - %s))",
            [ago],
        )
