"""Handing builds to the workers. A job carries an id; what is to be done is in the rows."""

import uuid
from datetime import timedelta

from core.queues import BUILDS, SHORT, defer

RUN_BUILD = "deployments.run_build"
RECHECK = "deployments.recheck"


def enqueue(build_id: uuid.UUID) -> None:
    """Hand the build to a worker. In a transaction the job appears with the commit; a second call adds none."""
    defer(RUN_BUILD, queue=BUILDS, lock=f"build:{build_id}", build_id=build_id)


def recheck_later(build_id: uuid.UUID, *, after: timedelta) -> None:
    """Hand a released app to a worker, which asks after a while whether it answers. Otherwise like `enqueue`."""
    defer(RECHECK, queue=SHORT, lock=f"recheck:{build_id}", after=after, build_id=build_id)
