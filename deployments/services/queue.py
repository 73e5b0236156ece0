"""Handing builds to the workers. A job only nudges: what is to be done stands in the rows."""

import uuid
from datetime import timedelta

from core.queues import BUILDS, SHORT, defer

RUN_BUILD = "deployments.run_build"
RECHECK = "deployments.recheck"


def enqueue(build_id: uuid.UUID) -> None:
    """Have a worker take the build. Inside a transaction the job appears with its commit; twice is once."""
    defer(RUN_BUILD, queue=BUILDS, lock=f"build:{build_id}", build_id=build_id)


def recheck_later(build_id: uuid.UUID, *, after: timedelta) -> None:
    """Have a worker ask again, after a while, whether the released app answers. The same otherwise."""
    defer(RECHECK, queue=SHORT, lock=f"recheck:{build_id}", after=after, build_id=build_id)
