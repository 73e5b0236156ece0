"""How fast a build's log is appended: lines a second through the worker's own Logbook, into PostgreSQL.

Run by `make bench`, with the database of the measurement.
"""

import os
import time

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.utils import timezone  # noqa: E402 - Django must be set up first

from deployments.models import Build, Deployment  # noqa: E402
from deployments.services.building.lease import BuildAttempt  # noqa: E402
from deployments.services.building.log_writer import Logbook  # noqa: E402

_LINES = 60_000
_LINE = "#7 12.3 a line of a build's log, as long as such lines are, more or less, on the average"

deployment = Deployment.objects.select_related("organization").get()
now = timezone.now()
build = Build.objects.create(
    deployment=deployment, organization=deployment.organization, state=Build.State.BUILDING, attempt=1,
    created_at=now, accepted_at=now, heartbeat_at=now,
)  # fmt: skip
logbook = Logbook(BuildAttempt(build))
started = time.perf_counter()
for _ in range(_LINES):
    logbook.write(_LINE)
logbook.flush()
seconds = time.perf_counter() - started
print(
    f"log append: {_LINES} lines ({_LINES * len(_LINE) / 1e6:.1f} MB) in {seconds:.2f} s: "
    f"{_LINES / seconds:.0f} lines/s in {build.log_chunks.count()} chunks"
)
build.delete()
