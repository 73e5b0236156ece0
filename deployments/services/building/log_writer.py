"""A build's log and step, written in batches: a build may print faster than a database should be asked."""

import time

from django.db import transaction
from django.db.models import F

from deployments.models import Build, BuildLogChunk
from deployments.services.building.lease import BuildLease

LONGEST_LOG = 8_000_000
_BATCH_SECONDS = 1.0
_BATCH_CHARACTERS = 64_000
_TOO_LONG = "\n(The log is too long; what follows is left out.)\n"


class LogWriter:
    """Collects lines and steps. `write` and `note_step` seldom touch the database; `flush` does now."""

    def __init__(self, lease: BuildLease) -> None:
        self._lease = lease
        self._lines: list[str] = []
        self._size = 0
        self._step = ""
        self._length = lease.row.log_length
        self._flushed_at = time.monotonic()

    def write(self, line: str) -> None:
        """Add one line, without its end."""
        if self._length + self._size <= LONGEST_LOG:
            self._lines.append(f"{line}\n")
            self._size += len(line) + 1
        self.flush_if_due()

    def note_step(self, sentence: str) -> None:
        """Show a step, soon; of several at once the last."""
        self._step = sentence
        self.flush_if_due()

    def flush_if_due(self) -> None:
        """Write what has waited for a second, or is much."""
        if self._size >= _BATCH_CHARACTERS or time.monotonic() - self._flushed_at >= _BATCH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write all there is. Raises LeaseLost when the build is no longer this worker's."""
        self._flushed_at = time.monotonic()
        if self._step:
            self._lease.note_step(self._step)
            self._step = ""
        if not self._lines:
            return
        # PostgreSQL's text has no NUL.
        text = "".join(self._lines).replace("\0", "")
        if self._length + len(text) > LONGEST_LOG:
            text = text[: max(0, LONGEST_LOG - self._length)] + _TOO_LONG
            self._length = LONGEST_LOG + 1
        self._lease.patiently(lambda: _append(self._lease, text))
        self._length = max(self._length, self._lease.row.log_length)
        self._lines.clear()
        self._size = 0


def _append(lease: BuildLease, text: str) -> None:
    """Add to the log, in the order of those who may: the row's length says where."""
    build = lease.row
    with transaction.atomic():
        lease.update_now(log_length=F("log_length") + len(text))
        end = Build.objects.values_list("log_length", flat=True).get(pk=build.pk)
        BuildLogChunk.objects.create(build=build, start=end - len(text), text=text)
    build.log_length = end
